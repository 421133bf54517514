"""How does AGAD's AUROC on CIFAR-10 grow with the share of labelled anomalies?"""

from agad import Agad, Asha, Confirm, Grid, Labelled, LogUniform, Search, Study, main

STUDY = Study(
    name="cifar-ratio-sweep",
    cells=Grid(
        dataset="cifar10", normal_class=range(10), anomaly_ratio=[0.0, 0.01, 0.05, 0.1, 0.2]
    ),
    detector=Agad(backbone="unet++"),
    search=Search(
        space={
            "weight_adcon": LogUniform(1, 100),
            "weight_con": LogUniform(5, 500),
            "lr": LogUniform(5e-5, 2e-3),
        },
        trials_per_cell=32,
    ),
    scheduler=Asha(max_epochs=81, grace_period=3, reduction_factor=3),
    confirm=Confirm(seeds=5),
    selection=Labelled(num_anomalies=100),
)

if __name__ == "__main__":
    main(STUDY)
