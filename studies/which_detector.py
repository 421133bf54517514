"""Which detector suits these images, and what are 10 or 30 labelled anomalies worth?"""

from agad import (
    Agad,
    Candidate,
    Confirm,
    Grid,
    Knn,
    KnnProbe,
    Lof,
    Mahalanobis,
    NoStopping,
    Pca,
    Probe,
    Study,
    main,
)

STUDY = Study(
    name="which-detector",
    cells=Grid(dataset="mnist", normal_class=[0, 8], labels=[0, 10, 30], num_normals=1000),
    detectors=[
        Candidate(Lof(), space={}),
        Candidate(Knn(), space={}),
        Candidate(Pca(), space={}),
        Candidate(Knn(features="efficientnet-lite0"), space={}),
        Candidate(Mahalanobis(features="efficientnet-lite0"), space={}),
        Candidate(Probe(features="efficientnet-lite0"), space={}),
        Candidate(KnnProbe(features="efficientnet-lite0"), space={}),
        Candidate(
            Agad(base_width=8, backbone="naive"), space={}, scheduler=NoStopping(max_epochs=4)
        ),
    ],
    confirm=Confirm(seeds=3),
)

if __name__ == "__main__":
    main(STUDY)
