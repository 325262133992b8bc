"""A method that fails is done without, whenever that is, by later processes too where it costs one its GPU."""

import warnings

import pytest
import torch

from dd_ray.storage.gpu_attempts import Attempts
from dd_ray.training import Stack, choice, fused
from dd_ray.training.blocks import Blocks
from dd_ray.training.choice import Choice, DeviceLost
from dd_ray.training.fused import Block
from dd_ray.training.triton_convolutions import KernelError
from tests.small import small
from tests.training.test_fused import assert_learned_alike, tiny

CPU = torch.device("cpu")


@pytest.fixture
def failing(monkeypatch):
    """Methods by name, and what they fail with; measuring takes no device."""
    errors: dict[str, Exception] = {}
    gradients = Block._gradients

    def failing_gradients(self, method, shared):
        if method in errors:
            raise errors[method]
        return gradients(self, method, shared)

    monkeypatch.setattr(Block, "_gradients", failing_gradients)
    monkeypatch.setattr(choice, "_seconds", lambda rehearsal: rehearsal()() or 1.0)
    monkeypatch.setattr(choice, "methods_of", lambda device: ("grouped", "streams"))
    return errors


def _auto(configs) -> Stack:
    stack = Stack(method="grouped")
    stack._blocks = Blocks(CPU, "auto")
    stack.add_all((config, None) for config in configs)
    return stack


@pytest.mark.parametrize(
    ("steps_before", "error"),
    [
        (0, RuntimeError("cuDNN has none")),
        (0, KernelError("it cannot")),
        (2, KernelError("it cannot")),
        (4, RuntimeError("cuDNN has none")),
    ],
    ids=["at once", "at once, a kernel", "soon, a kernel", "when it has settled"],
)
def test_a_method_that_fails_is_done_without(failing, monkeypatch, error, steps_before):
    monkeypatch.setattr(fused, "STEPS_TO_SETTLE", 3)
    configs = [tiny("inertia_vae", seed=seed) for seed in range(3)]
    stack = _auto(configs)
    stack.step(steps_before)
    failing["grouped"] = error
    with pytest.warns(UserWarning, match="method = grouped is left out. ") as warned:
        stack.step(3)
    assert len(warned) == 1
    for config in configs:
        assert_learned_alike(stack[config.key], config, steps_before + 3)


def test_the_error_of_the_last_method_is_told(failing):
    stack = _auto([small("inertia_vae")])
    failing |= {"grouped": RuntimeError("first"), "streams": RuntimeError("last")}
    with pytest.warns(UserWarning, match="first"), pytest.raises(RuntimeError, match="last"):
        stack.step()
    assert next(iter(stack)).iteration == 0


def test_the_error_of_a_method_that_was_asked_for_is_told(failing):
    stack = Stack([small("inertia_vae")], method="grouped")
    failing["grouped"] = RuntimeError("cuDNN has none")
    with pytest.raises(RuntimeError, match="cuDNN has none"):
        stack.step()


@pytest.mark.parametrize("later", [False, True])
def test_a_method_that_costs_a_process_its_gpu_is_remembered(failing, monkeypatch, tmp_path, later):
    monkeypatch.setattr(choice, "_attempts_on", lambda device: Attempts(tmp_path, "a GPU"))
    stack = _auto([small("inertia_vae")])
    illegal = RuntimeError("an illegal memory access was encountered\nand much more")
    with monkeypatch.context() as patch:
        patch.setattr(choice, "_error_of", lambda device: illegal)  # to whatever is asked of it
        if not later:  # else it is not known before the first step is waited for
            failing["grouped"] = illegal
        with pytest.raises(DeviceLost, match="has lost its GPU to method = grouped"):
            stack.step()
    failing.clear()
    with pytest.warns(
        UserWarning, match=r"grouped is left out: it cost a process its GPU: an illegal memory access was"
    ):
        stack = _auto([tiny("inertia_vae")])
    failing["grouped"] = illegal
    stack.step(2)
    assert_learned_alike(next(iter(stack)), tiny("inertia_vae"), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Choice(CPU, "grouped")  # whoever asks for it gets it


def test_where_all_were_given_up_the_last_is_tried_all_the_same(failing, monkeypatch, tmp_path):
    attempts = Attempts(tmp_path, "a GPU")
    monkeypatch.setattr(choice, "_attempts_on", lambda device: attempts)
    for method in ("grouped", "streams"):
        attempts.give_up(method, "an illegal access")
    with pytest.warns(UserWarning, match="grouped"):
        stack = _auto([small("inertia_vae")])
    stack.step()
    assert next(iter(stack)).iteration == 1


def test_a_method_is_compared_with_pytorch_even_where_no_other_works(failing):
    stack = Stack([small("inertia_vae", seed=seed) for seed in range(6)], method="grouped")
    (block,) = stack._blocks._blocks()
    failing["streams"] = RuntimeError("it cannot")
    assert block.agrees(list(stack), stack.dataset.batches([0]), "grouped")


def _with_groups_taken_as_one(monkeypatch, *methods):
    """As kernels do that fill groups up with zeros: 0 · NaN is NaN."""
    gradients = Block._gradients

    def mixed(self, method, shared):
        gradient, loss, parts = gradients(self, method, shared)
        return (gradient + 0 * gradient.sum(0) if method in methods else gradient), loss, parts

    monkeypatch.setattr(Block, "_gradients", mixed)


@pytest.mark.parametrize("settled", [False, True])
def test_a_method_by_which_nan_spreads_is_left_out_before_it_takes_a_step(failing, monkeypatch, settled):
    if settled:
        monkeypatch.setattr(fused, "STEPS_TO_SETTLE", 0)
    _with_groups_taken_as_one(monkeypatch, "grouped")
    configs = [tiny("inertia_vae", seed=seed) for seed in range(3)]
    stack = _auto(configs)
    with pytest.warns(UserWarning, match="grouped is left out. A trial that diverges would make others diverge"):
        stack.step()
    with torch.no_grad():
        stack[configs[1].key].weights.fill_(float("nan"))
    stack.step()
    for config in (configs[0], configs[2]):
        assert_learned_alike(stack[config.key], config, 2)


def test_the_check_for_spreading_changes_nothing_and_blames_no_one_for_what_is_nan_already(failing):
    stack = Stack([small("inertia_vae", seed=seed) for seed in range(4)], method="grouped")
    (block,) = stack._blocks._blocks()
    with torch.no_grad():
        block.weights[0].fill_(float("nan"))
    before = block.weights.clone()
    assert block.isolates(list(stack), stack.dataset.batches([0]), "grouped")
    assert torch.equal(block.weights.nan_to_num(7.0), before.nan_to_num(7.0))


def test_a_trial_that_leaves_leaves_no_nan_behind():
    configs = [tiny("inertia_vae", seed=seed) for seed in range(4)]
    stack = Stack(configs, method="grouped")
    with torch.no_grad():
        stack[configs[1].key].weights.fill_(float("nan"))
    stack.step()
    gone = stack.remove(configs[1].key)
    assert gone.diverged and gone.weights.isnan().all()
    (block,) = stack._blocks._blocks()
    assert block.weights.isfinite().all() and block.kept["square_avg"].isfinite().all()
    assert_learned_alike(stack[configs[0].key], configs[0], 1)


def test_as_trials_end_the_method_of_the_larger_block_goes_on(failing, monkeypatch):
    measured = []
    measure = Choice.measure
    monkeypatch.setattr(
        Choice, "measure", lambda self, block, *a: measured.append(len(block.slots)) or measure(self, block, *a)
    )
    monkeypatch.setattr(fused, "STEPS_TO_SETTLE", 1)
    monkeypatch.setattr(choice, "STEPS_TO_MEASURE_AGAIN", 5)
    configs = [tiny("supervised_encoder", seed=seed) for seed in range(8)]
    stack = _auto(configs)
    stack.step(3)
    assert measured == [8]
    for config in configs[2:]:
        stack.remove(config.key)
    stack.step(5)
    assert measured == [8]
    stack.step(2)  # they go on for long
    assert measured == [8, 2]
