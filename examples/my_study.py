"""Does the distance to a mean image find more anomalies among digits than PCA's residual?"""

from my_detector import MyDetector

from agad import Candidate, Confirm, Grid, Pca, Search, Study, main

STUDY = Study(
    name="my-study",
    cells=Grid(dataset="digits", normal_class=[0, 8]),
    detectors=[Candidate(MyDetector()), Candidate(Pca(), space={})],
    search=Search(trials_per_cell=6),
    confirm=Confirm(seeds=3),
)

if __name__ == "__main__":
    main(STUDY)
