"""The declarations of the networks. A new one is an entry here, and its code in `dd_ray/models/networks/`."""

from dd_ray.config.specs import NetworkSpec, Registry

CONV32 = NetworkSpec(
    name="conv32",
    features="dd_ray.models.networks.conv32:Conv32Features",
    decoder="dd_ray.models.networks.conv32:Conv32Decoder",
    gflop_per_frame={32: 0.0132},
    weights={32: 130_185},
    kept={32: 23_050},
    units=256,
)
CONV64 = NetworkSpec(
    name="conv64",
    features="dd_ray.models.networks.conv64:Conv64Features",
    decoder="dd_ray.models.networks.conv64:Conv64Decoder",
    gflop_per_frame={64: 0.0737},
    weights={64: 494_313},
    kept={64: 88_050},
    units=256,
)
MLP = NetworkSpec(
    name="mlp",
    features="dd_ray.models.networks.mlp:MLPFeatures",
    decoder="dd_ray.models.networks.mlp:MLPDecoder",
    gflop_per_frame={32: 0.0383, 64: 0.0752},
    weights={32: 6_784_632, 64: 14_160_504},
    kept={32: 6_000, 64: 6_000},
    units=1200,
)

NETWORKS = Registry("network", [CONV32, CONV64, MLP])
