"""Optimisers, learning rates and clipping are PyTorch's, whoever a trial is trained with and wherever it is stopped."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch.nn.utils import clip_grad_norm_, parameters_to_vector
from torch.optim import lr_scheduler

from dd_ray.config import OPTIMIZERS
from dd_ray.config.schedules import learning_rate_at
from dd_ray.errors import UserError
from dd_ray.training import Stack, Trial, dump_state, group_into_stacks, load_state
from dd_ray.training.fused import methods_of
from dd_ray.training.optimizers import nothing_kept, update_
from dd_ray.training.rates import Rates
from tests.small import small

THEIRS = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}
CASES = [
    {"optimizer": "rmsprop", "clip_gradient": 0.5},
    {"optimizer": "adam"},
    {"optimizer": "adam", "learning_rate_schedule": "cosine", "learning_rate_iterations": 9, "warm_up_iterations": 3},
    {"optimizer": "adamw", "weight_decay": 0.3, "warm_up_iterations": 4},
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "momentum": 0.9, "clip_gradient": 0.5},
    {"optimizer": "sgd", "momentum": 0.5, "learning_rate_schedule": "linear", "learning_rate_iterations": 9},
]
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case.values())))
METHODS = methods_of(torch.device("cpu"))


def _theirs(config, parameters):
    """PyTorch's optimiser of a config, and its schedule."""
    options = {"momentum": config.momentum} if config.optimizer == "sgd" else {}
    if config.optimizer == "adamw":
        options = {"weight_decay": config.weight_decay}
    optimizer = THEIRS[config.optimizer](parameters, lr=config.learning_rate, foreach=False, **options)
    warm_up, length = config.warm_up_iterations, config.learning_rate_iterations - config.warm_up_iterations
    falls = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1),
        "linear": lambda: lr_scheduler.LinearLR(optimizer, 1, 0, total_iters=length),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, T_max=length),
    }
    falling = falls[config.learning_rate_schedule]()
    if not warm_up:
        return optimizer, falling
    rising = lr_scheduler.LinearLR(optimizer, 1 / warm_up, 1, total_iters=warm_up - 1)
    return optimizer, lr_scheduler.SequentialLR(optimizer, [rising, falling], milestones=[warm_up])


def test_every_optimizer_is_compared():
    assert {case["optimizer"] for case in CASES} == {*OPTIMIZERS} == {*THEIRS}


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")  # of PyTorch, to its own SequentialLR
@each_case
def test_updates_are_pytorch_s_in_float64(case):
    config = small("beta_vae", learning_rate=0.05, **case)
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.randn(3, 2, dtype=torch.float64, generator=generator), torch.ones(5, dtype=torch.float64)]
    weights = parameters_to_vector(parameters).clone()
    kept = nothing_kept(config, weights)
    optimizer, schedule = _theirs(config, parameters)
    for iteration in range(9):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, dtype=torch.float64, generator=generator) * 0.3
        gradient = parameters_to_vector([parameter.grad for parameter in parameters]).clone()
        if config.clip_gradient is not None:
            clip_grad_norm_(parameters, config.clip_gradient)
        assert learning_rate_at(config, iteration) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12, abs=1e-15)
        optimizer.step()
        schedule.step()
        update_(config, weights, kept, gradient, Rates.at(config, iteration))
        torch.testing.assert_close(weights, parameters_to_vector(parameters), rtol=1e-12, atol=1e-14)


def test_a_clipped_gradient_is_as_long_as_allowed_and_points_the_same_way():
    config = small("beta_vae", optimizer="sgd", clip_gradient=2.0, learning_rate=1.0)
    weights = torch.zeros(2, 2, dtype=torch.float64)
    gradient = torch.tensor([[30.0, 40.0], [0.3, 0.4]], dtype=torch.float64)
    update_(config, weights, nothing_kept(config, weights), gradient, Rates.at(config, 0))
    expected = torch.tensor([[-1.2, -1.6], [-0.3, -0.4]], dtype=torch.float64)
    torch.testing.assert_close(weights, expected, rtol=1e-6, atol=0)


def test_a_learning_rate_falls_to_0_and_stays_there():
    for schedule in ("linear", "cosine"):
        config = small("beta_vae", learning_rate_schedule=schedule, learning_rate_iterations=10, warm_up_iterations=4)
        rates = [learning_rate_at(config, iteration) for iteration in range(15)]
        assert rates[3] == rates[4] == max(rates) == config.learning_rate
        assert all(a < b for a, b in pairwise(rates[:4])) and all(a > b for a, b in pairwise(rates[4:11]))
        assert rates[10:] == [0] * 5


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_who_takes_no_part_in_a_step_stays_as_it_is(optimizer):
    config = small("beta_vae", optimizer=optimizer, clip_gradient=1.0)
    weights = torch.ones(2, 3)
    kept = {name: tensor + 0.5 for name, tensor in nothing_kept(config, weights).items()}
    gradient = torch.tensor([[1.0, -2.0, 3.0], [float("nan")] * 3])
    rates = Rates(**{name: torch.tensor([[value], [0.0]]) for name, value in vars(Rates.at(config, 0)).items()})
    update_(config, weights, kept, gradient, rates, active=torch.tensor([[True], [False]]))
    assert weights.isfinite().all() and (weights[0] != 1).all() and (weights[1] == 1).all()
    assert all((tensor[1] == 0.5).all() and (tensor[0] != 0.5).all() for tensor in kept.values())


@each_case
def test_a_trial_goes_on_bit_for_bit_from_its_checkpoint(case):
    config = small("predictive_vae", num_frames=4, width_factor=0.25, **case)
    whole, begun, resumed = Stack([config]), Stack([config]), Stack()
    whole.step(6)
    begun.step(3)
    content = dump_state(begun[config.key].state())
    resumed.add(config, load_state(content))
    assert dump_state(resumed[config.key].state()) == content
    resumed.step(3)
    assert dump_state(resumed[config.key].state()) == dump_state(whole[config.key].state())


def _three(case):
    """Trials of one stack that differ in all that they may."""
    first = small("predictive_vae", num_frames=4, width_factor=0.25, **case | {"learning_rate": 1e-5})
    free = {"sgd": {"momentum": 0.3}, "adamw": {"weight_decay": 0.1}}.get(first.optimizer, {})
    falling = {"learning_rate_schedule": "cosine", "learning_rate_iterations": 8}
    return [first, replace(first, seed=4, warm_up_iterations=2), replace(first, seed=5, **falling, **free)]


@pytest.mark.parametrize("position", range(len(CASES)))
def test_a_trial_of_a_stack_learns_what_it_learns_alone(position):
    first, second, late = _three(CASES[position])
    together = Stack([first, second], method=METHODS[position % len(METHODS)])
    together.step(2)
    together.add(late)
    together.step(2)
    left = together.remove(second.key)
    together.step(1)
    for trial, iterations in ((together[first.key], 5), (left, 4), (together[late.key], 3)):
        alone = Stack([trial.config])
        before = alone[trial.config.key].weights.clone()
        alone.step(iterations)
        theirs = alone[trial.config.key]
        assert (trial.weights - theirs.weights).norm() < 2e-3 * (theirs.weights - before).norm()
        assert trial.kept.keys() == theirs.kept.keys()
        for name, tensor in trial.kept.items():
            assert (tensor - theirs.kept[name]).norm() < 1e-4 * theirs.kept[name].norm()


def test_stacks_are_of_one_optimizer_and_one_clipping():
    plain = small("beta_vae")
    others = [replace(plain, optimizer="adam"), replace(plain, clip_gradient=1.0)]
    free = [replace(plain, warm_up_iterations=3), replace(plain, learning_rate_schedule="linear")]
    assert group_into_stacks([plain, *others, *free]) == [[plain, *free], *([other] for other in others)]
    with pytest.raises(ValueError, match="trials of one stack must agree in optimizer"):
        Stack([plain, others[0]])


def test_a_state_without_what_the_optimizer_keeps_is_refused():
    config = small("beta_vae", optimizer="adam")
    state = Trial(config).state()
    with pytest.raises(UserError, match="does not hold the weights of its model"):
        Trial(config).restore(replace(state, gradient_avg={}))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"optimizer": "lion"}, "optimizer = 'lion' is not one of rmsprop, adam, adamw, sgd"),
        ({"momentum": 0.9}, "momentum = 0.9 has no effect with optimizer = rmsprop; give 0.0, or use optimizer = sgd"),
        ({"weight_decay": 0.1, "optimizer": "adam"}, "weight_decay = 0.1 has no effect .* or use optimizer = adamw"),
        ({"learning_rate_iterations": 5}, "no effect with learning_rate_schedule = constant; .* linear or cosine"),
        ({"learning_rate_schedule": "linear", "warm_up_iterations": 10_000}, "leaves no iteration"),
        ({"clip_gradient": 0.0}, "clip_gradient = 0.0 is out of range; give a positive number"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, says):
    with pytest.raises(UserError, match=says):
        small("beta_vae", **changes)


def test_weight_decay_draws_a_learned_alpha_to_0_and_a_learned_gamma_to_a_half():
    decayed = small(
        "inertia_vae", optimizer="adamw", weight_decay=10.0, learn_alpha=True, learn_gamma="shared", gamma=0.9
    )
    trial = Stack([decayed])[decayed.key]
    rates = replace(Rates.at(decayed, 0), learning_rate=0.05)
    for _ in range(20):
        update_(decayed, trial.weights, trial.kept, torch.zeros_like(trial.weights), rates)
    learned = trial.model.learned_values()
    assert abs(learned["alpha/learned"]) < 1e-4 and abs(learned["gamma/latent_0"] - 0.5) < 1e-4
