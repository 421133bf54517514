"""Which detector suits these images, the deep ones included, and what are 10 or 30 labels worth?"""

from agad import (
    Agad,
    Candidate,
    Confirm,
    DeepSvdd,
    Grid,
    Knn,
    KnnProbe,
    Lof,
    LogUniform,
    Study,
    main,
)

STUDY = Study(
    name="which-detector-deep",
    cells=Grid(dataset="mnist", normal_class=range(10), labels=[0, 10, 30]),
    detectors=[
        Candidate(Lof(), space={}),
        Candidate(Knn(features="efficientnet-lite0"), space={}),
        Candidate(KnnProbe(features="efficientnet-lite0"), space={}),
        Candidate(DeepSvdd(), space={}),
        Candidate(
            Agad(),
            space={"weight_adcon": LogUniform(1, 60), "lr": LogUniform(1e-4, 2e-3)},
            trials=16,
        ),
    ],
    confirm=Confirm(seeds=3),
)

if __name__ == "__main__":
    main(STUDY)
