"""Which detector suits scanned digits: one fit of PCA, Deep SVDD, or AGAD?"""

from agad import (
    Agad,
    Asha,
    Candidate,
    Confirm,
    DeepSvdd,
    Grid,
    Labelled,
    LogUniform,
    Pca,
    Search,
    Study,
    main,
)

STUDY = Study(
    name="which-detector-digits",
    cells=Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.05]),
    detectors=[
        Candidate(Pca(), space={}),
        Candidate(DeepSvdd(batch_size=32)),
        Candidate(
            Agad(base_width=8, discriminator_width=32, batch_size=16, min_batch_anomalies=8),
            space={"weight_adcon": LogUniform(1, 60), "lr": LogUniform(1e-4, 2e-3)},
            scheduler=Asha(max_epochs=18, grace_period=2, reduction_factor=9),
        ),
    ],
    search=Search(trials_per_cell=6),
    confirm=Confirm(seeds=3),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)

if __name__ == "__main__":
    main(STUDY)
