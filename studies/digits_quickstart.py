"""Does a handful of labelled anomalies help AGAD on scanned digits?"""

from agad import Agad, Asha, Confirm, Grid, Labelled, LogUniform, Search, Study, main

STUDY = Study(
    name="digits-quickstart",
    cells=Grid(dataset="digits", normal_class=[0, 8], anomaly_ratio=[0.0, 0.05, 0.1]),
    detector=Agad(
        backbone="unet++",
        base_width=8,
        discriminator_width=32,
        batch_size=16,
        min_batch_anomalies=8,
    ),
    search=Search(
        space={
            "weight_adcon": LogUniform(1, 60),
            "weight_con": LogUniform(10, 250),
            "lr": LogUniform(1e-4, 2e-3),
        },
        trials_per_cell=12,
    ),
    # One rung: after 6 epochs a trial's rank says nothing of epoch 18 here.
    scheduler=Asha(max_epochs=18, grace_period=2, reduction_factor=9),
    confirm=Confirm(seeds=3),
    selection=Labelled(num_anomalies=30, val_share=0.25),
)

if __name__ == "__main__":
    main(STUDY)
