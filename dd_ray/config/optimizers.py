"""The optimisers. A new one is an entry here, and its update in `dd_ray/training/`."""

from dd_ray.config.specs import OptimizerSpec, Registry

RMSPROP = OptimizerSpec(name="rmsprop", update="dd_ray.training.rmsprop:rmsprop", keeps=("square_avg",))
ADAM = OptimizerSpec(name="adam", update="dd_ray.training.adam:adam", keeps=("gradient_avg", "square_avg"))
ADAMW = OptimizerSpec(
    name="adamw", update="dd_ray.training.adam:adamw", keeps=("gradient_avg", "square_avg"), reads=("weight_decay",)
)
SGD = OptimizerSpec(name="sgd", update="dd_ray.training.sgd:sgd", keeps=("gradient_avg",), reads=("momentum",))
OPTIMIZERS = Registry("optimizer", [RMSPROP, ADAM, ADAMW, SGD])
