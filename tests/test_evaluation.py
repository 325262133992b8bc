"""What an evaluation tells of a model, and that it tells the same each time."""

import json
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
import torch

from dd_ray.config import MODELS, TrialConfig
from dd_ray.data import Batch, circle_regions, make_dataset, render_circles
from dd_ray.errors import UserError
from dd_ray.evaluation import (
    Evaluation,
    PicturedRegions,
    begin_evaluation,
    encode_pictures,
    encode_stills,
    evaluate,
    held_out,
    model_scores,
    region_errors,
    regions,
    still_errors,
    untrained_scores,
)
from dd_ray.evaluation import scores as scores_module
from dd_ray.evaluation import stills as stills_module
from dd_ray.evaluation.__main__ import main
from dd_ray.metrics import (
    FURTHER,
    REPORTED,
    gaussian_total_correlation,
    mean_correlation_coefficient,
    reported_by,
)
from dd_ray.models import Model, build_model, load_original
from dd_ray.objectives.tcvae import Decomposition
from dd_ray.storage.files.local import LocalFiles
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.training import Trial, dump_state
from dd_ray.trial import scoring
from tests.own_files import COLOUR
from tests.small import ALWAYS, CONFIGS, VAES, WITH_CODE, each, small, takes

LOSS_TERMS = {
    "beta": ("kl",),
    "capacity": ("capacity_gap",),
    "tcvae": Decomposition._fields,
    "slowness": ("first_kl", "slowness"),
    "velocity": ("first_kl", "velocity"),
}
each_vae = pytest.mark.parametrize("model", VAES)


class Evaluated(NamedTuple):
    """A config's network and data, and the evaluation of the one on the other."""

    config: TrialConfig
    model: Model
    weights: dict[str, torch.Tensor]
    """Those that the network had before."""
    sets: list[Batch | None]
    """Held-out data, and data that was trained on."""
    evaluation: Evaluation

    @classmethod
    def of(cls, config):
        model, dataset = build_model(config), make_dataset(config)
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        sets = [dataset.test_set(), dataset.seen_set()]
        torch.manual_seed(0)
        return cls(config, model, weights, sets, evaluate(model, config, sets[0], seen_set=sets[1]))

    def again(self):
        """Evaluate it once more."""
        return evaluate(self.model, self.config, self.sets[0], seen_set=self.sets[1])


@pytest.fixture(scope="module", params=each(CONFIGS))
def evaluated(request):
    """Each config, evaluated once; those who look at it leave it as it is."""
    return Evaluated.of(request.param)


AS_ANY = ("network", "width_factor", "dataset", "num_circles", "circle_radius", "correlation")
"""Networks and data of which an evaluation makes what it makes of any."""


def _goes_another_way(config) -> bool:
    """Whether an evaluation does what no other does: of an option that several variants take, that with inertia."""
    plain = small(config.model)
    of_any = all(getattr(config, name) == getattr(plain, name) for name in AS_ANY)
    return config == plain or (config.model == "inertia_vae" and of_any)


OTHERWISE = set(filter(_goes_another_way, ALWAYS))


def _evaluated(config):
    return Evaluated.of(config).evaluation


def _expected_names(config) -> set[str]:
    error = "reconstruction_error" if config.traits.draws else "factor_error"
    scores = {"loss", error} | ({f"{error}_seen"} if config.split != "none" else set())
    if config.traits.draws:
        scores |= {"reconstruction_error_hidden"} if config.occluder else set()
        scores |= {"reconstruction_error_dropped"} if config.drop_rate else set()
    if not config.traits.encodes:
        return scores
    if config.factor_names:
        scores |= {"linear_r2", "mcc", "mig", "sap", *(f"linear_r2/{name}" for name in config.factor_names)}
    if not config.traits.has_latents:
        return scores
    scores |= {"loss/reconstruction", "active_units"}
    scores |= {"loss/reconstruction_floor"} if config.likelihood == "bernoulli" else set()
    if config.frames > 1:
        scores |= {"prediction_ratio", "straightness"}
        scores |= {"prediction_ratio_encoder", "straightness_encoder"} if config.traits.mixes_frames else set()
    if config.stochastic:
        scores |= {
            "kl",
            "gaussian_total_correlation",
            *Decomposition._fields,
            *(f"kl/latent_{i}" for i in range(config.num_latents)),
        }
        scores |= {f"loss/{name}" for name in LOSS_TERMS[config.objective]}
    scores |= {"alpha/learned"} if config.learn_alpha else set()
    if config.learn_gamma != "none":
        scores |= {f"gamma/latent_{i}" for i in range(config.num_latents)}
    return scores | {"loss/prediction"} if config.takes("lam") else scores


def test_metrics_are_named_and_finite(evaluated):
    config, metrics = evaluated.config, evaluated.evaluation.metrics
    assert set(metrics) == _expected_names(config)
    assert {name for name in metrics if "/" not in name} == reported_by(config) <= set(REPORTED)
    assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in metrics.values())


def test_an_evaluation_is_the_same_each_time_and_leaves_the_model_alone(evaluated):
    torch.manual_seed(1)
    first, second = evaluated.evaluation, evaluated.again()
    assert first.metrics == second.metrics
    np.testing.assert_array_equal(first.picture, second.picture)
    model = evaluated.model
    assert all(torch.equal(value, evaluated.weights[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("config", each(CONFIGS, OTHERWISE))
def test_an_evaluation_begins_without_waiting_for_the_device(config):
    # What asks for a number of this device fails, as it would wait on another.
    dataset, model = make_dataset(config), build_model(config).to("meta")
    sets = [batch and batch.map(lambda tensor: tensor.to("meta")) for batch in (dataset.test_set(), dataset.seen_set())]
    fetch = begin_evaluation(model, config, sets[0], seen_set=sets[1])
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        fetch()


OF_LOGS = (
    *("mutual_information", "total_correlation", "dimension_wise_kl", "gaussian_total_correlation"),
    *("kl", "loss/kl", "loss/first_kl"),
)
ROUNDING_OF_LOGS = 2 * float(np.spacing(np.float32(16)))
"""What these are may lie near 0, and is the difference of logarithms of densities of up to 16 nats (of four latents,
each ½ log 2π and what lies between a draw and the other means): one unit in the last place of each of two."""


def _of_the_batch(config) -> set[str]:
    """Metrics that hang on the batches, and so on the chunks: losses that compare the videos of a batch.

    The original's loss of prediction is that of the first video of each, and the terms of tcvae compare its samples.
    """
    if config.compat == "original":
        return {"loss", "loss/prediction"}
    return {"loss", *(f"loss/{name}" for name in LOSS_TERMS["tcvae"])} if config.objective == "tcvae" else set()


def assert_chunks_do_not_matter(evaluated):
    """Metrics of an evaluation in smaller chunks are those of the one that was."""
    chunked, whole = evaluated.again().metrics, evaluated.evaluation.metrics
    assert chunked.keys() == whole.keys()
    for name in whole.keys() - _of_the_batch(evaluated.config):
        bound = ROUNDING_OF_LOGS if name in OF_LOGS else 1e-7
        assert chunked[name] == pytest.approx(whole[name], rel=1e-3, abs=bound), name


@pytest.mark.parametrize("evaluated", each(CONFIGS, OTHERWISE), indirect=True)
def test_chunks_do_not_matter(evaluated, monkeypatch):
    monkeypatch.setattr(held_out, "CHUNK", 7)  # of the 8 videos, so that one is left
    assert_chunks_do_not_matter(evaluated)


@pytest.mark.parametrize("model", MODELS)
def test_the_size_of_the_chunks_does_not_matter(model, monkeypatch):
    evaluated = Evaluated.of(small(model))
    for chunk in (1, 3, 8):
        monkeypatch.setattr(held_out, "CHUNK", chunk)
        assert_chunks_do_not_matter(evaluated)


def test_a_learned_gamma_is_told_for_each_latent():
    config = small("inertia_vae", learn_gamma="per_latent", gamma=0.3)
    model, test_set = build_model(config), make_dataset(config).test_set()
    names = [f"gamma/latent_{i}" for i in range(4)]
    assert [evaluate(model, config, test_set).metrics[name] for name in names] == pytest.approx([0.3] * 4)
    with torch.no_grad():
        model.gamma_logit[2] = 4.0
    told = evaluate(model, config, test_set).metrics
    assert [told[name] for name in names] == pytest.approx([0.3, 0.3, 1 / (1 + math.exp(-4)), 0.3])


@pytest.mark.parametrize("model", [model for model in VAES if takes(model, {"learn_alpha": True})])
def test_a_learned_alpha_is_told_as_it_was_when_the_evaluation_began(model):
    config = small(model, learn_alpha=True, alpha=0.75)
    network, test_set = build_model(config), make_dataset(config).test_set()
    begun = begin_evaluation(network, config, test_set)
    with torch.no_grad():
        network.alpha.fill_(0.5)
    told = [evaluation.metrics["alpha/learned"] for evaluation in (begun(), evaluate(network, config, test_set))]
    assert told == [0.75, 0.5]


def test_the_noise_does_not_depend_on_the_trial_s_seed():
    config = small("inertia_vae")
    model, test_set = build_model(config), make_dataset(config).test_set()
    assert evaluate(model, config, test_set).metrics == evaluate(model, replace(config, seed=5), test_set).metrics


def test_the_encoder_s_own_path_is_scored_as_that_of_a_vae_without_a_filter():
    # e is what the weights make of each frame, whatever γ; a predictive VAE of the same weights has it as its latents.
    plain = small("predictive_vae")
    network, test_set = build_model(plain), make_dataset(plain).test_set()
    shown = Batch(
        test_set.images[:, :4], test_set.factors[:, :4], test_set.factor_names
    )  # its last frame is the target
    expected = evaluate(network, plain, shown).metrics
    ratios = []
    for gamma in (0.0, 0.5, 0.9):
        config = small("inertia_vae", gamma=gamma)
        filtered = build_model(config)
        filtered.load_state_dict(network.state_dict(), strict=False)
        metrics = evaluate(filtered, config, test_set).metrics
        for name in ("prediction_ratio", "straightness"):
            assert metrics[f"{name}_encoder"] == pytest.approx(expected[name], rel=1e-4)
        ratios.append(metrics["prediction_ratio"])
    assert ratios[0] == pytest.approx(expected["prediction_ratio"], rel=1e-4)
    assert ratios[0] > 1.5 * ratios[1] > 2 * ratios[2]


@pytest.mark.parametrize("model", ["predictive_vae", "inertia_vae"])
def test_the_prediction_ratio_is_that_of_constant_velocity_whatever_the_model_s_alpha(model):
    """By α = 0 the error would be the motion itself, and the ratio of any network 1."""
    config = small(model, alpha=0.0)
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        steps = network(test_set).mu.double().diff(dim=1)
    expected = steps.diff(dim=1).square().sum() / steps[:, 1:].square().sum()
    assert evaluate(network, config, test_set).metrics["prediction_ratio"] == pytest.approx(expected.item(), rel=1e-4)


@each_vae
def test_the_reconstruction_error_is_that_of_the_means_per_pixel(model):
    config = small(model)
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        outputs = network(test_set)
        expected = (outputs.reconstruction - outputs.target).square().mean().item()
    metrics = evaluate(network, config, test_set).metrics
    assert metrics["reconstruction_error"] == pytest.approx(expected, rel=1e-5)
    assert metrics["loss/reconstruction"] > expected * outputs.target[0].numel()


@pytest.mark.parametrize("model", ["inertia_vae", "beta_vae", "supervised_decoder"])
def test_frames_that_are_hidden_or_lost_have_errors_of_their_own(model, monkeypatch):
    conditions = {"occluder": 20.0, "drop_rate": 0.3, "pixel_noise": 0.1}
    config = small(model, **conditions, **({} if model == "supervised_decoder" else {"target": "clean"}))
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        outputs = network(test_set)
        squares = (outputs.reconstruction - outputs.target).square().mean(dim=(2, 3, 4))
    first = config.num_frames - squares.shape[1]
    if config.target == "clean":
        plain = replace(config, occluder=0.0, drop_rate=0.0, pixel_noise=0.0, target="seen")
        assert torch.equal(outputs.target, make_dataset(plain).test_set().images[:, first:])
    monkeypatch.setattr(held_out, "CHUNK", 3)  # of which each has another share of such frames
    metrics = evaluate(network, config, test_set).metrics
    for name in ("hidden", "dropped"):
        which = test_set.lost[name][:, first:]
        assert 0 < which.sum() < which.numel()
        assert metrics[f"reconstruction_error_{name}"] == pytest.approx(squares[which].mean().item(), rel=1e-4)


def test_the_weights_are_those_of_the_iteration():
    config = small("predictive_vae", beta_schedule="linear", schedule_iterations=4)
    model, test_set = build_model(config), make_dataset(config).test_set()
    at = [evaluate(model, config, test_set, iteration).metrics for iteration in (0, 2, 4)]
    halves = [at[1]["loss"] - at[0]["loss"], at[2]["loss"] - at[1]["loss"]]
    assert halves == pytest.approx([config.beta / 2 * at[0]["loss/kl"]] * 2, rel=1e-2)
    assert {name for name in at[0] if at[0][name] != at[2][name]} == {"loss"}


@each_vae
def test_the_three_terms_of_the_kl_add_up_to_it(model):
    # But for the draws, which are of some of the frames.
    config = small(model, num_test=128)
    network = build_model(config)
    with torch.no_grad():
        network.encoder.mu.weight *= 300
    metrics = evaluate(network, config, make_dataset(config).test_set()).metrics
    assert metrics["kl"] > 3 and metrics["mutual_information"] > 0.1
    total = sum(metrics[name] for name in Decomposition._fields)
    assert total == pytest.approx(metrics["kl"], abs=0.5)


def test_what_is_told_beside_the_loss_is_of_the_frames_that_the_objective_counts():
    config = small("inertia_vae", likelihood="bernoulli")
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        network.encoder.mu.weight *= 300
        outputs = network(test_set)
    counted = (tensor[:, 1:].flatten(0, 1).numpy() for tensor in (outputs.mu, outputs.logvar.exp()))
    decoded = test_set.images[:, 2:].double()
    floor = -sum(torch.xlogy(each, each).sum() for each in (decoded, 1 - decoded)) / len(decoded)
    metrics = evaluate(network, config, test_set).metrics
    assert metrics["gaussian_total_correlation"] == pytest.approx(gaussian_total_correlation(*counted), rel=1e-4)
    assert metrics["loss/reconstruction_floor"] == pytest.approx(floor.item(), rel=1e-5)


@each_vae
def test_the_kl_is_per_frame_and_the_sum_over_latents(model):
    config = small(model)
    metrics = _evaluated(config).metrics
    assert metrics["kl"] == pytest.approx(sum(metrics[f"kl/latent_{i}"] for i in range(4)))
    num_frames = config.num_frames - (2 if model == "inertia_vae" else 0)
    assert metrics["loss/kl"] == pytest.approx(num_frames * metrics["kl"], rel=1e-5)


@each_vae
def test_scores_compare_the_code_of_a_frame_with_the_factors_of_that_frame(model):
    config = small(model, num_test=64)
    network, test_set = build_model(config), make_dataset(config).test_set()
    with torch.no_grad():
        outputs = network(test_set)
    evaluation = evaluate(network, config, test_set)
    factors = test_set.factors[:, outputs.frames].numpy()
    np.testing.assert_array_equal(evaluation.held_out.factors, factors)
    # A code that is the factors of the very frame it encodes.
    assert replace(evaluation.held_out, latents=factors).metrics()["mcc"] == pytest.approx(1)
    expected = mean_correlation_coefficient(outputs.mu.flatten(0, 1).numpy(), factors.reshape(-1, factors.shape[-1]))
    assert evaluation.metrics["mcc"] == pytest.approx(expected, rel=1e-4)


@each_vae
def test_a_diverged_model_is_evaluated_without_scores(model):
    config = small(model)
    network = build_model(config)
    with torch.no_grad():
        network.encoder.mu.bias.fill_(float("nan"))
    metrics = evaluate(network, config, make_dataset(config).test_set()).metrics
    assert math.isnan(metrics["loss"])
    assert "mcc" not in metrics


@pytest.mark.parametrize("num_test", [2, 8])
def test_a_picture_of_videos_has_frame_beside_frame_and_originals_above(num_test):
    config = small("inertia_vae", num_test=num_test)
    test_set = make_dataset(config).test_set()
    picture = evaluate(build_model(config), config, test_set).picture
    rows, columns = 2 * min(num_test, held_out.PICTURED), config.num_frames - 2
    assert picture.dtype == np.uint8
    assert picture.shape == (32 * rows, 32 * columns)
    originals = (test_set.images[:, 2:, 0] * 255).round().numpy()
    np.testing.assert_array_equal(picture[:32, 32:64], originals[0, 1])
    np.testing.assert_array_equal(picture[64:96, :32], originals[1, 0])


def test_a_picture_of_stills_has_one_row_of_originals():
    config = small("beta_vae", dataset="still_circles")
    test_set = make_dataset(config).test_set()
    picture = evaluate(build_model(config), config, test_set).picture
    assert picture.shape == (2 * 32, held_out.PICTURED * 32)
    originals = (test_set.images[:, 0, 0] * 255).round().numpy()
    for i in range(held_out.PICTURED):
        np.testing.assert_array_equal(picture[:32, 32 * i : 32 * (i + 1)], originals[i])


def test_a_model_without_a_decoder_has_no_pictures():
    assert not _evaluated(small("supervised_encoder")).pictures


def test_a_traversal_has_a_row_for_each_latent_and_the_prior_s_mean_in_its_middle():
    config = small("inertia_vae", num_latents=3)
    model = build_model(config)
    traversal = evaluate(model, config, make_dataset(config).test_set()).traversal
    assert traversal.shape == (3 * 32, 7 * 32)
    with torch.no_grad():
        shown = model.decode(torch.tensor([[[0.0, 0.0, 0.0], [0.0, 2.0, 0.0]]]))[0, :, 0].numpy()
    for row in range(3):
        np.testing.assert_allclose(traversal[32 * row : 32 * row + 32, 96:128] / 255, shown[0], atol=0.003)
    np.testing.assert_allclose(traversal[32:64, 160:192] / 255, shown[1], atol=0.003)


def test_without_a_prior_there_is_nothing_to_traverse():
    evaluated = _evaluated(small("predictive_vae", stochastic=False))
    assert evaluated.traversal is None and list(evaluated.pictures) == ["originals above reconstructions"]


def test_stills_have_no_motion_to_predict():
    for model in ("beta_vae", "supervised_encoder"):
        assert not {"prediction_ratio", "straightness"} & set(_evaluated(small(model, dataset="still_circles")).metrics)


CHEAP = ("mig", "mig_equal_width", "sap", "mcc", "mcc_spearman", "linear_r2", "modularity", "notebook")


def of_few_stills(test):
    """Mark a test whose scores may be biased, as those of few pictures are."""
    few = pytest.mark.usefixtures("few_stills")
    return few(pytest.mark.filterwarnings("ignore::dd_ray.metrics.FewPointsWarning")(test))


@of_few_stills
@pytest.mark.parametrize("model", sorted({config.model for config in WITH_CODE}))
def test_scores_of_stills_fill_the_columns_that_they_name(model):
    config = small(model)
    scores = model_scores(build_model(config), config, CHEAP)
    named = {column for name in CHEAP for column in FURTHER[name].all_columns}
    assert set(scores) == named | {"active_units_stills"} and named <= set(REPORTED)
    assert all(isinstance(value, (int, float)) for value in scores.values())


@of_few_stills
def test_scores_of_active_units_look_at_no_others():
    config = small("beta_vae", dataset="still_circles")
    model = build_model(config)
    with torch.no_grad():
        model.encoder.mu.weight[0] *= 1e3  # the others hardly vary in an untrained network
    scores = model_scores(model, config, ["mcc", "mig"])
    assert scores["active_units_stills"] == 1
    assert 0 < scores["mcc_stills_active"] < scores["mcc_stills"]
    untrained = untrained_scores(config, ["mcc", "mig"])
    assert untrained["mcc_stills_active"] == 0 and untrained["mcc_stills"] > 0.2


@of_few_stills
def test_scores_of_untrained_networks_are_those_of_the_seed_and_computed_once(monkeypatch):
    config = small("inertia_vae")
    expected = model_scores(build_model(config), config, ["mcc"])
    first = untrained_scores(config, ["mcc"])
    assert first == {name: expected[name] for name in FURTHER["mcc"].all_columns}
    assert untrained_scores(replace(config, seed=3), ["mcc"]) != first
    assert untrained_scores(replace(config, contrast=0.1), ["mcc"]) != first  # equal weights, other pictures
    monkeypatch.setattr(scores_module, "model_scores", None)
    assert untrained_scores(replace(config, beta=0.1, gamma=0.9), ["mcc"]) == first


@of_few_stills
@pytest.mark.parametrize("bias", [math.nan, math.inf])
def test_a_diverged_model_has_no_further_scores(bias):
    config = small("beta_vae")
    model = build_model(config)
    with torch.no_grad():
        model.encoder.mu.bias.fill_(bias)
    assert model_scores(model, config, ["mcc"]) == {}


@of_few_stills
def test_a_code_gives_all_pictures_that_it_is_asked_for_their_own_latents():
    config = small("beta_vae")
    model = build_model(config)
    code = scores_module.code_of(model, config)
    asked = np.random.default_rng(0).random((3, 4, 4))
    asked[:, 0], asked[:, -1] = 0.5, 0.5  # they begin and end alike
    for factors in (*asked, *asked):
        np.testing.assert_array_equal(code.encode(factors), encode_stills(model, config, factors))


NETWORKS = {
    "supervised": "encoderbvae_like_dsprites_circle_last_50K",
    **{
        f"beta_vae_4_latents_beta_norm_{beta}": f"staticvae32_betanorm={beta}_dsprites_circle_last_500K"
        for beta in ("0.001", "0.0055", "0.0302", "0.1657", "0.9103", "5.0")
    },
}


def _scores_of_original(reference, network, names):
    model = load_original(reference / "checkpoints" / NETWORKS[network]).eval()
    config = small("supervised_encoder" if network == "supervised" else "beta_vae", dataset="still_circles")
    return model_scores(model, config, names), json.loads((reference / "numbers.json").read_text())


SCORED_ALWAYS = ("supervised", "beta_vae_4_latents_beta_norm_0.001")
"""The others take seconds each, and tests of metrics score them on the pictures that the original drew."""


@pytest.mark.parametrize(
    "network", [name if name in SCORED_ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_the_original_s_networks_have_the_published_scores_of_other_pictures(reference, network):
    scores, numbers = _scores_of_original(reference, network, CHEAP)
    expected = numbers["metrics_uniform"][network]
    columns = {
        "mig_equal_width": "MIG_hist20",
        "sap_stills": "SAP_continuous",
        "mcc_stills": "MCC_pearson",
        "mcc_spearman": "MCC_spearman",
        "linear_r2_stills": "R2_linear",
    }
    assert {n: scores[n] for n in columns} == pytest.approx({n: expected[k] for n, k in columns.items()}, abs=0.02)
    # The reference cuts the latents by rank, and the factors by width.
    assert scores["mig_stills"] == pytest.approx(expected["MIG_quantile20"], abs=0.05)
    of_the_notebook = numbers["notebook_entanglement"][network]
    assert scores["notebook_cross_correlation"] == pytest.approx(
        of_the_notebook["mean_squared_cross_correlations"], abs=1e-4
    )
    assert scores["notebook_sweep_correlation"] == pytest.approx(
        of_the_notebook["mean_squared_corr_true_learned"], abs=1e-4
    )
    if network != "supervised":
        assert scores["active_units_stills"] == expected["active_units_var0.01"]


@pytest.mark.slow
@pytest.mark.parametrize("network", SCORED_ALWAYS)
def test_the_original_s_networks_have_the_published_dci_of_other_pictures(reference, network):
    scores, numbers = _scores_of_original(reference, network, ["dci"])
    expected = numbers["metrics_uniform"][network]["DCI_gbt"]
    found = [scores[f"dci_{name}"] for name in ("disentanglement", "completeness", "informativeness")]
    assert found == pytest.approx([expected["D"], expected["C"], expected["I_R2"]], abs=0.03)


BETA_NORMS = ("0.001", "0.0055", "0.0302", "0.1657", "0.9103", "5.0")


@pytest.mark.parametrize("network", [0, *(pytest.param(i, marks=pytest.mark.slow) for i in range(1, 5)), 5])
def test_region_errors_are_those_that_the_original_published(reference, network):
    published = np.load(reference / "region_errors.npz")
    assert published["beta_norm"].tolist() == [float(beta) for beta in BETA_NORMS]
    levels = np.linspace(0, 1, 8)
    background_x, background_y, circle_x, circle_y = np.meshgrid(levels, levels, levels, levels, indexing="ij")
    some = slice(None, None, 5)  # among which each factor has all of its levels
    factors = np.stack([circle_x, circle_y, background_x, background_y], axis=-1).reshape(-1, 4)[some]
    path = reference / "checkpoints" / f"staticvae32_betanorm={BETA_NORMS[network]}_dsprites_circle_last_500K"
    errors = region_errors(load_original(path), PicturedRegions.of(factors))
    assert set(errors) == set(published) - {"beta_norm"}
    for name, error in errors.items():
        np.testing.assert_allclose(error, published[name][network].ravel()[some], rtol=0, atol=1e-5, err_msg=name)


@each_vae
def test_region_errors_of_an_untrained_model_are_those_of_its_decoded_means(model):
    factors = np.random.default_rng(0).random((3, 4))
    network = build_model(small(model))
    images = torch.from_numpy(render_circles(factors))[:, None, None] / 255
    with torch.no_grad():
        mu, _ = network.encode(images)
        squares = (network.decode(mu) - images).square().numpy()[:, 0, 0]
    masks = circle_regions(factors[:, :2])._asdict()
    for name, error in region_errors(network, PicturedRegions.of(factors)).items():
        expected = [square[mask].mean() for square, mask in zip(squares, masks[name], strict=True)]
        np.testing.assert_allclose(error, expected, rtol=1e-5)


def test_region_errors_refuse_factors_out_of_range():
    with pytest.raises(UserError, match="circle_x = 2"):
        PicturedRegions.of(np.array([[2.0, 0, 0, 0]]))


@pytest.mark.parametrize("factors", [np.empty((0, 4)), [], 0.5])
def test_factors_of_no_picture_are_refused(factors):
    config = small("beta_vae")
    model = build_model(config)
    for ask in (lambda: encode_stills(model, config, factors), lambda: still_errors(model, factors)):
        with pytest.raises(UserError, match=r"factors of shape \(.*\) are of no picture; give \[N, F\]"):
            ask()
    with pytest.raises(UserError, match="are of no picture"):
        PicturedRegions.of(factors)


def test_region_errors_do_not_depend_on_the_chunks(monkeypatch):
    pictured, model = PicturedRegions.of(np.random.default_rng(0).random((25, 4))), build_model(small("beta_vae"))
    whole = region_errors(model, pictured)
    monkeypatch.setattr(regions, "CHUNK", 1)
    for name, error in region_errors(model, pictured).items():
        np.testing.assert_allclose(error, whole[name], rtol=1e-5)


@pytest.mark.parametrize("model", [*VAES, "supervised_decoder"])
def test_errors_of_stills_are_those_of_an_evaluation_of_still_pictures(model):
    config = small("beta_vae" if model in VAES else model, dataset="still_circles", num_test=10)
    network, test_set = build_model(config), make_dataset(config).test_set()
    expected = evaluate(network, config, test_set).metrics["reconstruction_error"]
    asked = network if model in ("beta_vae", "supervised_decoder") else build_model(small(model))
    assert still_errors(asked, test_set.factors[:, 0].numpy()).mean() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("model", ["supervised_encoder", "supervised_decoder", "beta_vae"])
def test_the_error_of_seen_data_is_that_of_an_evaluation_on_it(model):
    config = small(model, split="levels", train_share=0.3)
    network, dataset = build_model(config), make_dataset(config)
    metrics = evaluate(network, config, dataset.test_set(), seen_set=dataset.seen_set()).metrics
    name = "factor_error" if model == "supervised_encoder" else "reconstruction_error"
    assert metrics[f"{name}_seen"] == evaluate(network, config, dataset.seen_set()).metrics[name] != metrics[name]


def test_a_supervised_decoder_has_no_code_to_score():
    config = small("supervised_decoder")
    assert model_scores(build_model(config), config, ["mcc"]) == untrained_scores(config, ["mcc"]) == {}


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (np.full((3, 32, 32), 255.0), r"float64 from 255 to 255 .* floats in \[0, 1\]"),
        (np.full((3, 32, 32), 255), r"int64 from 255 to 255"),
        (np.full((3, 32, 32), np.nan, np.float32), r"float32 from nan to nan"),
        (np.zeros((3, 64, 64)), r"shape \(3, 64, 64\) .* give \[N, 32, 32\] or \[N, 32, 32, 1\]"),
        (np.zeros((3, 32, 32, 3)), r"shape \(3, 32, 32, 3\) cannot"),
        (np.zeros((3, 1, 32, 32)), r"shape \(3, 1, 32, 32\)"),
        (np.zeros((32, 32)), r"shape \(32, 32\)"),
        ([[0.5]], r"shape \(1, 1\)"),
        (np.zeros((0, 32, 32)), r"shape \(0, 32, 32\)"),
    ],
)
def test_pictures_that_would_be_encoded_as_others_are_refused(pictures, said):
    model = build_model(small("beta_vae"))
    with pytest.raises(UserError, match=said):
        encode_pictures(model, pictures)
    black = encode_pictures(model, np.zeros((2, 32, 32), np.uint8))
    np.testing.assert_array_equal(encode_pictures(model, np.zeros((2, 32, 32, 1))), black)


def test_a_network_of_colours_encodes_no_grey_pictures():
    model = build_model(small("beta_vae", **COLOUR))
    with pytest.raises(UserError, match=r"shape \(2, 32, 32\) cannot be encoded; give \[N, 32, 32, 3\]"):
        encode_pictures(model, np.zeros((2, 32, 32)))
    assert encode_pictures(model, np.zeros((2, 32, 32, 3))).shape == (2, 4)


@pytest.mark.parametrize(("device", "parts"), [("cpu", [640] * 15 + [400]), ("cuda", [8192, 1808])])
def test_stills_are_rendered_where_the_network_is_and_in_few_parts_on_a_gpu(monkeypatch, device, parts):
    rendered = []

    def render(config, factors, device):
        rendered.append((len(factors), device))
        return np.zeros((len(factors), 32, 32), np.uint8)

    monkeypatch.setattr(stills_module, "render_stills", render)
    monkeypatch.setattr(stills_module, "device_of", lambda model: torch.device(device))
    monkeypatch.setattr(stills_module, "encode_pictures", lambda model, seen: np.zeros((len(seen), 4), np.float32))
    config = small("beta_vae")
    assert stills_module.encode_stills(build_model(config), config, np.zeros((10_000, 4))).shape == (10_000, 4)
    assert rendered == [(part, torch.device(device)) for part in parts]


@pytest.mark.usefixtures("few_stills")
@pytest.mark.parametrize(
    ("call", "file"),
    [("write", None), ("append", "scores.jsonl"), ("write", "results.csv")],
    ids=["everything", "scores", "table"],
)
def test_a_sweep_that_cannot_be_written_is_told_in_a_line(tmp_path, monkeypatch, capsys, call, file):
    sweep, config = SweepFolder.at(tmp_path / "sweep"), small("beta_vae")
    sweep.write_manifest({"study": "tiny", "axes": {}, "options": {"metric": "mcc"}})
    folder, trial = sweep.trial(config.key), Trial(config)
    folder.create(config.to_dict(), "seed=0")
    folder.record({"iteration": 0, "seconds": 1.0, "mcc": 0.4})
    folder.save_state(0, dump_state(trial.state()))
    usual, scored = getattr(LocalFiles, call), []

    def refusing(files, name, *arguments, **options):
        if file in (None, name):
            raise OSError(30, "Read-only file system", str(files.local / name))
        usual(files, name, *arguments, **options)

    monkeypatch.setattr(LocalFiles, call, refusing)
    monkeypatch.setattr(scoring, "model_scores", lambda *given: scored.append(given) or model_scores(*given))
    with pytest.raises(SystemExit) as ended:
        main([sweep.location, "--processes", "1", "--metrics", "mcc"])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and "Traceback" not in told
    assert f"error: {sweep.location} cannot be written (Read-only file system), and scores are kept there; make" in told
    assert bool(scored) is (file is not None) and not list(sweep.folder.glob(".check*"))
