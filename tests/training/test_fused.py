"""Trials computed as one: each gets what it gets alone."""

from dataclasses import replace

import pytest
import torch

from dd_ray.config import MODELS, OBJECTIVES, ModelSpec, ObjectiveSpec, TrialConfig
from dd_ray.config.models import VAE
from dd_ray.errors import UserError
from dd_ray.models.beta_vae import BetaVAE
from dd_ray.models.networks import layers
from dd_ray.objectives import kl_divergence
from dd_ray.objectives.posterior import Weighted
from dd_ray.training import Stack, Trial, set_precision
from dd_ray.training.blocks import Blocks, capacity_for
from dd_ray.training.fused import ROUNDING, Block, methods_of
from tests.small import ALWAYS, CONFIGS, TINY, name_of, quick, shows_its_network, small

CPU = torch.device("cpu")
METHODS = methods_of(CPU)
each_method = pytest.mark.parametrize("method", METHODS)


def _three(config):
    free = {"learning_rate": 3e-3, "seed": 5}
    if config.model == "inertia_vae" and config.compat == "none":
        free |= {"gamma": 0.8, "lam": 10.0}
    if config.beta:
        free["beta"] = 0.01
    return [config, replace(config, seed=4), replace(config, **free)]


def _relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).norm() / b.norm())


def slow(model, **changes):
    """So small a learning rate that rounding does not grow: RMSprop moves a weight by the sign of its gradient."""
    return small(model, learning_rate=1e-5, **changes)


def tiny(model, **changes):
    """Likewise, on a network that takes less time, where it matters to no one."""
    return slow(model, **TINY | changes)


def assert_learned_alike(trial, config, iterations) -> None:
    """A trial has gone where it goes alone, in so many iterations, but for a thousandth of the way."""
    alone = Stack([config])
    before = alone[config.key].weights.clone()
    alone.step(iterations)
    theirs = alone[config.key]
    assert trial.iteration == theirs.iteration == iterations
    assert (trial.weights - theirs.weights).norm() < 1e-3 * (theirs.weights - before).norm()
    assert _relative(trial.terms.loss, theirs.terms.loss) < 1e-5


def _case(config, method):
    """Trials that are computed as one; `-m slow` tries those that are not tried always."""
    marks = () if config in ALWAYS else (pytest.mark.slow,)
    return pytest.param(quick(config), method, id=f"{name_of(config)}-{method}", marks=marks)


def _methods_of(position, config):
    """All of them for each network, since convolutions are what they differ in; of the rest each has one in turn."""
    return METHODS if shows_its_network(config) else [METHODS[position % len(METHODS)]]


@pytest.mark.parametrize(
    ("config", "method"),
    [_case(config, method) for i, config in enumerate(CONFIGS) for method in _methods_of(i, config)],
)
def test_the_gradients_of_a_step_are_those_of_each_trial_alone(config, method):
    configs = _three(config)
    together, alone = Stack(configs, method=method), Stack(configs)
    together.step()
    alone.step()
    for c in configs:
        ours, theirs = together[c.key], alone[c.key]
        # After the first step v = (1 − ρ) g², so that √v has the size of each gradient.
        assert _relative(ours.square_avg.sqrt(), theirs.square_avg.sqrt()) < 1e-5
        assert _relative(ours.terms.loss, theirs.terms.loss) < 1e-5
        assert ours.terms.parts.keys() == theirs.terms.parts.keys()


@pytest.mark.parametrize(
    ("config", "method"),
    [_case(config, METHODS[i % len(METHODS)]) for i, config in enumerate(CONFIGS)],
)
def test_a_step_never_waits_for_the_device(config, method):
    # This device knows shapes alone: what asks it for a number fails, as it would wait on another.
    stack = Stack(_three(config)[:2], "meta", method)
    steps = 2 if config == small(config.model) else 1  # later ones find what the first has left, whatever the options
    stack.step(steps)
    assert [trial.iteration for trial in stack] == [steps, steps]


@each_method
@pytest.mark.parametrize("model", MODELS)
def test_training_together_comes_to_what_training_alone_does(model, method):
    configs = [tiny(model, seed=0), tiny(model, seed=1), replace(tiny(model, seed=0), learning_rate=2e-5)]
    together = Stack(configs, method=method)
    together.step(8)
    for config in configs:
        assert_learned_alike(together[config.key], config, 8)


@each_method
def test_trials_at_different_iterations_each_see_their_own_batch(method):
    first, second = slow("inertia_vae", seed=0), slow("inertia_vae", seed=1)
    stack = Stack([first], method=method)
    stack.step(2)
    stack.add(second)
    stack.step(2)
    assert_learned_alike(stack[first.key], first, 4)
    assert_learned_alike(stack[second.key], second, 2)


@each_method
@pytest.mark.parametrize("broken", ["weights", "gamma"])
def test_a_trial_that_is_nan_leaves_the_bits_of_the_others_unchanged(method, broken):
    configs = [small("inertia_vae", seed=seed) for seed in range(3)]
    healthy, stack = Stack(configs, method=method), Stack(configs, method=method)
    with torch.no_grad():
        lost = stack[configs[1].key]
        (lost.weights if broken == "weights" else lost.model.matrix).fill_(float("nan"))
    healthy.step(3)
    stack.step(3)
    assert stack[configs[1].key].diverged
    for config in (configs[0], configs[2]):
        assert not stack[config.key].diverged
        assert torch.equal(stack[config.key].weights, healthy[config.key].weights)
        assert torch.equal(stack[config.key].terms.loss, healthy[config.key].terms.loss)


@each_method
def test_a_trial_that_does_not_take_part_stays_as_it_is(method):
    configs = [small("inertia_vae", seed=seed) for seed in range(2)]
    stack = Stack(configs, method=method)
    stack.step()
    rests = stack[configs[0].key]
    before, loss = rests.state(), rests.terms.loss.clone()
    stack.step_trials([stack[configs[1].key]])
    assert (rests.iteration, stack[configs[1].key].iteration) == (1, 2)
    assert torch.equal(rests.terms.loss, loss)
    for group in ("weights", "square_avg"):
        assert all(torch.equal(getattr(rests.state(), group)[n], t) for n, t in getattr(before, group).items())


def test_a_trial_that_leaves_takes_its_own_copy_with_it():
    stays, leaves = tiny("inertia_vae", seed=0), tiny("inertia_vae", seed=1)
    stack = Stack([stays, leaves], method="grouped")
    stack.step()
    left = stack.remove(leaves.key)
    before, gamma, loss = left.weights.clone(), left.model.gamma.clone(), left.terms.loss.clone()
    stack.add(replace(leaves, seed=3, gamma=0.9))
    stack.step()
    assert torch.equal(left.weights, before)
    assert torch.equal(left.model.gamma, gamma)
    assert torch.equal(left.terms.loss, loss)
    again = Stack(method="grouped")
    again.add(leaves, left.state())
    again.step()
    assert_learned_alike(again[leaves.key], leaves, 2)


def test_a_trial_that_leaves_keeps_its_loss_and_the_next_in_its_slot_has_its_own():
    *configs, joins = (small("beta_vae", width_factor=0.25, seed=seed) for seed in range(7))
    stack = Stack(configs, method="grouped")
    stack.step()
    (block,) = stack._blocks._blocks()
    left = stack.remove(configs[2].key)
    loss = left.terms.loss.item()
    joined = stack.add(joins)
    assert block.slots[2] is joined  # no other block was made
    joined.weights.fill_(float("nan"))
    stack.step()
    assert joined.diverged
    assert not left.diverged and left.terms.loss.item() == loss


def test_the_networks_of_a_stack_can_be_used_while_it_trains():
    config = small("inertia_vae")
    stack = Stack([config], method="grouped")
    stack.step()
    other = Trial(config)
    other.restore(stack[config.key].state())
    batch = stack.dataset.batch(7)
    assert torch.equal(stack[config.key].model(batch).reconstruction, other.model(batch).reconstruction)


@pytest.mark.parametrize("most", [1, 7, 36, 216])
def test_trials_come_and_go_with_few_captured_steps(most):
    sizes = {capacity_for(n) for n in range(1, most + 1)}
    assert all(n <= capacity_for(n) < 2 * n for n in range(1, most + 1))
    assert all(capacity_for(n) <= n * 9 / 8 for n in range(17, most + 1))
    assert all(capacity_for(n) <= n * 6 / 5 for n in range(1, min(most, 16) + 1))
    assert len(sizes) <= min(most, 10) + 8 * max(0, most.bit_length() - 4)


def _counted_blocks(monkeypatch):
    made = []
    build = Block.__init__

    def counting(self, config, capacity, *others):
        made.append(capacity)
        build(self, config, capacity, *others)

    monkeypatch.setattr(Block, "__init__", counting)
    return made


def test_blocks_grow_and_shrink_with_the_trials(monkeypatch):
    made = _counted_blocks(monkeypatch)
    configs = [tiny("supervised_encoder", seed=seed) for seed in range(10)]
    stack = Stack(configs, method="grouped")
    stack.step()
    assert made[-1] == 10
    for config in configs[:9]:
        stack.remove(config.key)
    stack.step()
    assert made[-1] < 3
    assert_learned_alike(stack[configs[9].key], configs[9], 2)


def test_trials_that_join_together_have_their_block_at_once(monkeypatch):
    made = _counted_blocks(monkeypatch)
    moved = []
    add = Block.add
    monkeypatch.setattr(Block, "add", lambda self, trial: moved.append(trial) or add(self, trial))
    configs = [tiny("supervised_encoder", seed=seed) for seed in range(40)]
    stack = Stack(configs[:30], method="grouped")
    assert (made, len(moved)) == ([capacity_for(30)], 30)
    stack.add_all((config, None) for config in configs[30:])
    assert (made, len(moved)) == ([capacity_for(30), capacity_for(40)], 30 + 40)
    assert [trial.config for trial in stack] == configs


@pytest.mark.parametrize("together", [True, False])
def test_joining_takes_as_long_as_there_are_trials(monkeypatch, together):
    compared, moved = [], []
    monkeypatch.setattr("dd_ray.training.stack._shared", lambda config: compared.append(config) or {"network": "mlp"})
    add = Block.add
    monkeypatch.setattr(Block, "add", lambda self, trial: moved.append(trial) or add(self, trial))
    configs = [tiny("supervised_encoder", seed=seed) for seed in range(64)]
    stack = Stack(configs if together else (), method="grouped")
    for config in configs if not together else ():
        stack.add(config)
    assert len(compared) == 64
    assert len(moved) <= 64 * (1 if together else 12)


def test_trials_of_which_one_cannot_join_leave_the_stack_as_it_was():
    stack = Stack([tiny("inertia_vae")], method="grouped")
    others = [tiny("inertia_vae", seed=3), tiny("inertia_vae", seed=4, num_latents=3)]
    with pytest.raises(ValueError, match="must agree in num_latents"):
        stack.add_all((config, None) for config in others)
    assert len(stack) == len(stack._blocks._blocks()[0].trials) == 1


def _with_memory_for(monkeypatch, most):
    gradients = Block._gradients

    def limited(self, method, shared):
        if len(self.slots) > most:
            raise torch.OutOfMemoryError("out of memory")
        return gradients(self, method, shared)

    monkeypatch.setattr(Block, "_gradients", limited)


def test_a_stack_without_the_memory_goes_on_in_halves(monkeypatch):
    made = _counted_blocks(monkeypatch)
    _with_memory_for(monkeypatch, 2)
    configs = [tiny("inertia_vae", seed=seed) for seed in range(5)]
    stack = Stack(configs, method="grouped")
    stack.step(2)
    assert max(made[-2:]) <= 2
    for config in configs:
        assert_learned_alike(stack[config.key], config, 2)


def test_halves_become_one_again_when_trials_have_gone(monkeypatch):
    _with_memory_for(monkeypatch, 4)
    configs = [tiny("inertia_vae", seed=seed) for seed in range(5)]
    stack = Stack(configs, method="grouped")
    stack.step()
    assert len(stack._blocks._blocks()) == 2
    for config in configs[1:3]:
        stack.remove(config.key)
    assert len(stack._blocks._blocks()) == 1
    stack.step()
    for config in (configs[0], *configs[3:]):
        assert_learned_alike(stack[config.key], config, 2)


def test_where_memory_runs_out_another_method_is_tried_before_halves(monkeypatch):
    monkeypatch.setattr("dd_ray.training.choice._seconds", lambda rehearsal: rehearsal()() or 1.0)
    gradients = Block._gradients

    def limited(self, method, shared):
        if method == "grouped":
            raise torch.OutOfMemoryError("out of memory")
        return gradients(self, method, shared)

    monkeypatch.setattr(Block, "_gradients", limited)
    stack = Stack(method="grouped")
    stack._blocks = Blocks(stack.device, "auto")
    configs = [tiny("inertia_vae", seed=seed) for seed in range(3)]
    for config in configs:
        stack.add(config)
    stack.step(2)
    assert len(stack._blocks._blocks()) == 1
    for config in configs:
        assert_learned_alike(stack[config.key], config, 2)


def test_a_step_that_memory_runs_out_in_is_taken_once(monkeypatch):
    configs = [tiny("inertia_vae", seed=seed) for seed in range(2)]
    undisturbed, stack = Stack(configs, method="grouped"), Stack(configs, method="grouped")
    undisturbed.step()
    root, calls = torch.Tensor.sqrt, []

    def at_first_without_memory(self):
        calls.append(self)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("out of memory")
        return root(self)

    monkeypatch.setattr(torch.Tensor, "sqrt", at_first_without_memory)  # in the midst of RMSprop
    stack.step()
    assert len(calls) > 1
    for config in configs:
        assert stack[config.key].iteration == 1
        torch.testing.assert_close(stack[config.key].square_avg, undisturbed[config.key].square_avg)
        torch.testing.assert_close(stack[config.key].weights, undisturbed[config.key].weights)


def test_slots_that_take_no_part_have_no_nan_that_could_reach_others(monkeypatch):
    gradients = Block._gradients

    def with_groups_taken_as_one(self, method, shared):
        found, *rest = gradients(self, method, shared)
        return (found + 0 * found.sum(0), *rest)

    monkeypatch.setattr(Block, "_gradients", with_groups_taken_as_one)
    stack = Stack([small("beta_vae", objective="velocity", seed=seed) for seed in range(5)], method="grouped")
    (block,) = stack._blocks._blocks()
    assert None in block.slots
    trials = list(stack)
    for together in (trials[1:], trials[:-1]):
        stack.step_trials(together)
        assert all(trial.weights.isfinite().all() for trial in trials)


@pytest.mark.parametrize("broken", [False, True])
def test_a_method_whose_gradients_are_others_is_told(monkeypatch, broken):
    stack = Stack([small("inertia_vae", seed=seed) for seed in range(3)], method="grouped")
    with torch.no_grad():
        next(iter(stack)).weights.fill_(float("nan"))  # which has no gradients to compare
    gradients = Block._gradients

    def with_one_wrong(self, method, shared):
        found, *rest = gradients(self, method, shared)
        return (found * (1 + 0.1 * (method == "streams")) if broken else found, *rest)

    monkeypatch.setattr(Block, "_gradients", with_one_wrong)
    (block,) = stack._blocks._blocks()
    assert block.agrees(list(stack), stack.dataset.batches([0]), "streams") != broken


@pytest.fixture
def precision(request):
    """A precision of a GPU, for one test."""
    set_precision(request.param)
    yield request.param
    set_precision("float32")
    torch.backends.cudnn.allow_tf32 = True  # PyTorch's own default


@pytest.mark.parametrize("broken", [False, True])
@pytest.mark.parametrize("precision", ["bf16", "tf32"], indirect=True)
def test_rounded_gradients_may_be_off_in_another_direction_than_pytorch_s(monkeypatch, precision, broken):
    stack = Stack([small("predictive_vae", seed=seed) for seed in range(3)], method="grouped")
    for trial in stack:
        trial.weights.mul_(2.5)  # where gradients nearly cancel, as after some training
    (block,) = stack._blocks._blocks()
    gradients = Block._gradients

    def mirrored(self, method, shared):
        with layers.images_kept_as(torch.float32):
            exact, *rest = gradients(self, "streams", shared)
        weights = self.weights
        if precision == "tf32":
            self.weights = (weights.view(torch.int32) & ~0x1FFF).view(torch.float32)
        rounded, *_ = gradients(self, "streams", shared)
        self.weights = weights
        ours = 2 * exact - rounded
        assert ((ours - rounded).norm(dim=1) > ROUNDING * exact.norm(dim=1)).any()
        return (ours * (1 + broken), *rest)

    monkeypatch.setattr(Block, "_gradients", mirrored)
    assert block.agrees(list(stack), stack.dataset.batches([0]), "streams") != broken
    assert layers.dtype_between() is (torch.bfloat16 if precision == "bf16" else torch.float32)


def test_without_the_memory_for_one_trial_the_remedy_is_named(monkeypatch):
    _with_memory_for(monkeypatch, 0)
    stack = Stack([small("inertia_vae")], method="grouped")
    with pytest.raises(UserError, match=r"batch_size = 4; give a smaller one"):
        stack.step()
    assert next(iter(stack)).iteration == 0


def test_a_trial_for_which_there_is_no_memory_at_all_does_not_stay(monkeypatch):
    stack = Stack(method="grouped")
    with monkeypatch.context() as patch:
        patch.setattr(Block, "__init__", _without_memory)
        with pytest.raises(torch.OutOfMemoryError):
            stack.add(small("inertia_vae"))
    assert len(stack) == 0
    stack.add(small("inertia_vae"))
    stack.step()
    assert next(iter(stack)).iteration == 1


def _without_memory(self, *arguments):
    raise torch.OutOfMemoryError("out of memory")


def _penalty_of_a_config_s_own_beta(config, posterior, weights):
    kl = kl_divergence(posterior.mu, posterior.logvar).sum() / len(posterior.mu)
    return {"kl": Weighted(config.beta_value, kl)}


@pytest.fixture
def own_objective():
    """An objective that takes β from the config, and not from the weights."""
    spec = ObjectiveSpec(name="own", title="own", penalty=_penalty_of_a_config_s_own_beta, reads=("beta", "beta_norm"))
    OBJECTIVES.declare(spec)
    yield spec.name
    OBJECTIVES.withdraw(spec.name)


def test_an_objective_that_takes_what_trials_differ_in_from_the_config_of_one_is_refused(own_objective):
    one = small("beta_vae", objective=own_objective, network="mlp", width_factor=0.05)
    other, message = (
        replace(one, beta=7.0),
        r"objective = own reads config\.beta_value, which is 0\.5 and 7\.0 in trials",
    )
    with pytest.raises(UserError, match=message):
        Stack([one, other], method="grouped").step()
    begun = Stack([one, *(replace(one, seed=seed) for seed in range(3, 7))], method="grouped")
    assert capacity_for(len(begun)) > len(begun)
    begun.step()
    with pytest.raises(UserError, match=message):
        begun.add(other)
    begun.step()
    assert [trial.iteration for trial in begun] == [2] * 5


class _OwnModel(BetaVAE):
    def __init__(self, config):
        super().__init__(config)
        self.share = config.gamma

    def forward(self, batch, noise=None):
        outputs = super().forward(batch, noise)
        return replace(outputs, reconstruction=(1 - self.share) * outputs.reconstruction)


@pytest.fixture
def own_model():
    """A model that keeps γ as a number, and not in a buffer."""
    spec = ModelSpec(name="own", title="own", build=_OwnModel, reads=(*VAE, "gamma"))
    MODELS.declare(spec)
    yield spec.name
    MODELS.withdraw(spec.name)


class _ModelWithConfig(BetaVAE):
    def __init__(self, config):
        super().__init__(config)
        self.config = config

    def forward(self, batch, noise=None):
        outputs = super().forward(batch, noise)
        assert self.config.takes("gamma") and self.config.num_latents == outputs.mu.shape[-1]
        return replace(outputs, reconstruction=(1 - self.config.gamma) * outputs.reconstruction)


def test_a_model_that_reads_what_trials_differ_in_from_its_config_is_refused():
    MODELS.declare(ModelSpec(name="own", title="own", build=_ModelWithConfig, reads=(*VAE, "gamma")))
    try:
        one = TrialConfig(model="own", beta=0.5, gamma=0.25, network="mlp", width_factor=0.05, batch_size=4)
        message = r"model = own reads config\.gamma, which is 0\.25 and 0\.75 in trials .* buffer"
        with pytest.raises(UserError, match=message):
            Stack([one, replace(one, gamma=0.75)], method="grouped").step()
        begun = Stack([one, *(replace(one, beta=7.0, seed=seed) for seed in range(3, 7))], method="grouped")
        begun.step()
        with pytest.raises(UserError, match=message):
            begun.add(replace(one, gamma=0.75))
        begun.step()
        assert [trial.iteration for trial in begun] == [2] * 5
    finally:
        MODELS.withdraw("own")


class _ModelWithAllOfItsConfig(_ModelWithConfig):
    def forward(self, batch, noise=None):
        outputs = BetaVAE.forward(self, batch, noise)
        return replace(outputs, reconstruction=(1 - self.config.to_dict()["gamma"]) * outputs.reconstruction)


def test_a_model_that_reads_what_trials_differ_in_by_a_method_of_its_config_is_refused():
    MODELS.declare(ModelSpec(name="own", title="own", build=_ModelWithAllOfItsConfig, reads=(*VAE, "gamma")))
    try:
        one = TrialConfig(model="own", beta=0.5, gamma=0.25, network="mlp", width_factor=0.05, batch_size=4)
        Stack([one], method="grouped").step()
        with pytest.raises(UserError, match=r"model = own reads config\.gamma, which is 0\.25 and 0\.75 in trials"):
            Stack([one, replace(one, gamma=0.75)], method="grouped").step()
    finally:
        MODELS.withdraw("own")


def test_a_model_that_keeps_what_trials_differ_in_as_a_number_is_refused(own_model):
    one = TrialConfig(model=own_model, beta=0.5, gamma=0.25, network="mlp", width_factor=0.05, batch_size=4)
    Stack([one, replace(one, beta=7.0, seed=5)], method="grouped").step()
    with pytest.raises(UserError, match=r"model = own keeps share, which is 0\.25 and 0\.75 in trials .* buffer"):
        Stack([one, replace(one, gamma=0.75)], method="grouped")
