"""Which detector suits scanned digits, and does a handful of labelled anomalies help AGAD?"""

from agad import Agad, Asha, Candidate, Confirm, Grid, Knn, Labelled, Lof, LogUniform, Study, main

STUDY = Study(
    name="digits-quickstart",
    cells=Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.05, 0.1]),
    detectors=[
        Candidate(
            Agad(base_width=8, discriminator_width=32, batch_size=16, min_batch_anomalies=8),
            space={
                "weight_adcon": LogUniform(1, 60),
                "weight_con": LogUniform(10, 250),
                "lr": LogUniform(1e-4, 2e-3),
            },
            trials=12,
            # One rung: after 6 epochs a trial's rank says nothing of epoch 18 here.
            scheduler=Asha(max_epochs=18, grace_period=2, reduction_factor=9),
        ),
        Candidate(Lof(), space={}),
        Candidate(Knn(), space={}),
    ],
    confirm=Confirm(seeds=3),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)

if __name__ == "__main__":
    main(STUDY)
