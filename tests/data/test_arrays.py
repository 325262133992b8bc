"""Files of one's own: what they may be, what is made of them, and what is refused, each with a sentence."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.config.arrays import Contents, factors_of
from dd_ray.data import held_out_pictures, make_dataset, render_stills
from dd_ray.data.registry import held_out_stills
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate, model_scores
from dd_ray.evaluation.stills import encode_test_stills
from dd_ray.metrics import FURTHER
from dd_ray.models import build_model
from dd_ray.probes import held_out_picture, held_out_videos, latent_table, middle_picture, traversal
from dd_ray.storage.arrays import fields_of_file, open_arrays, with_contents
from dd_ray.sweep.checks import OF_FACTORS, check_metric, reported_by
from dd_ray.training import Stack, dump_state, load_state
from tests.own_files import BARE, COLOUR, GREY, NUM_SAMPLES, squares, write
from tests.small import small

IMAGES, FACTORS = squares()


def _fields(tmp_path, declared=None, **arrays):
    return {"dataset": "arrays"} | fields_of_file(str(write(tmp_path / "own.npz", **arrays)), declared)


def _folder(tmp_path, **arrays):
    folder = tmp_path / "own"
    folder.mkdir()
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


# What is given


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (IMAGES, (80, 5, 32, 32, 3)),
        (IMAGES[..., 0], (80, 5, 32, 32, 1)),
        (IMAGES[:, 0], (80, 1, 32, 32, 3)),
        (IMAGES[:, 0, :, :, 0], (80, 1, 32, 32, 1)),
        (squares(20, 3, 64)[0], (20, 3, 64, 64, 3)),
        ((IMAGES[..., 0] / 255).astype(np.float16), (80, 5, 32, 32, 1)),
    ],
)
def test_videos_and_stills_in_grey_and_colour(tmp_path, images, shape):
    contents = Contents.of(_fields(tmp_path, images=images)["data_contents"])
    sizes = (contents.num_samples, contents.num_frames, contents.height, contents.width, contents.channels)
    assert sizes == shape
    assert Contents.of(str(contents)) == contents


def test_pictures_in_the_order_of_pytorch_are_told_apart_from_videos(tmp_path):
    def told(images):
        return Contents.of(_fields(tmp_path, images=images)["data_contents"]).in_words

    assert "videos of 3 frames" in told(IMAGES[:, 0].transpose(0, 3, 1, 2)) and "[N, H, W, 3]" in told(
        IMAGES[:, :3, ..., 0]
    )
    assert "[N, H, W, 3]" not in told(IMAGES[:, 0]) + told(IMAGES[:, :3]) + told(IMAGES[..., 0])


def test_a_config_knows_its_file_without_it(tmp_path):
    fields = _fields(tmp_path, images=IMAGES, factors=FACTORS, factor_names=np.array(["a", "b", "c"]))
    (tmp_path / "own.npz").rename(tmp_path / "moved.npz")
    config = small("inertia_vae", **fields)
    assert config.image_shape == (3, 32, 32) and config.frames == 5 and config.factor_names == ("a", "b", "c")
    assert config.num_data == 72 and config.num_tested == 8 and not config.is_of_one_circle
    assert TrialConfig.from_dict(config.to_dict()) == config
    assert build_model(config).code(torch.zeros(1, 5, 3, 32, 32)).shape == (1, 5, 4)
    with pytest.raises(UserError, match=r"own\.npz cannot be read: .*; put it back there, or a link to it"):
        make_dataset(config)
    (tmp_path / "own.npz").symlink_to(tmp_path / "moved.npz")
    assert len(make_dataset(config).test_set().images) == 8


def test_numbers_of_samples_are_the_file_s_unless_fewer_or_others_are_asked_for():
    config = small("beta_vae", **COLOUR, objective="tcvae", num_test=100)
    assert config.num_data == 72 and replace(config, tc_num_data=500).num_data == 500
    assert config.num_tested == 8 and replace(config, num_test=5).num_tested == 5
    drawn = small("beta_vae", objective="tcvae", tc_num_data=500, num_test=100)
    assert drawn.num_data == 500 and drawn.num_tested == 100


def test_a_folder_is_mapped_and_is_the_same_data(tmp_path):
    folder = _folder(tmp_path, images=IMAGES, factors=FACTORS)
    names = ",".join(("square_x", "square_y", "hue:category"))
    fields = {"dataset": "arrays"} | fields_of_file(str(folder), names)
    assert small("beta_vae", **fields).key == small("beta_vae", **COLOUR).key
    images = open_arrays(str(folder)).images
    assert isinstance(images.base, np.memmap) or isinstance(images, np.memmap)
    ours, theirs = (make_dataset(small("beta_vae", **f)).batch(3) for f in (fields, COLOUR))
    assert torch.equal(ours.images, theirs.images) and torch.equal(ours.factors, theirs.factors)


def test_the_key_has_the_content_and_not_the_place(tmp_path):
    fields = _fields(tmp_path, images=IMAGES, factors=FACTORS, factor_names=np.array(COLOUR["data_factors"].split(",")))
    assert fields["data_file"] != COLOUR["data_file"]
    assert small("beta_vae", **fields).key == small("beta_vae", **COLOUR).key
    changed = IMAGES.copy()
    changed[79, 4, 0, 0, 0] ^= 1
    other = _fields(tmp_path, images=changed, factors=FACTORS, factor_names=np.array(["square_x", "square_y", "hue"]))
    assert other["data_contents"] != fields["data_contents"]
    with pytest.raises(
        UserError, match=r"own\.npz holds sha256:.*, not data_contents = sha256:.*; give the file as it"
    ):
        make_dataset(small("beta_vae", **fields))


# What is made of it


@pytest.mark.parametrize("fields", [GREY, COLOUR, BARE])
def test_a_batch_is_samples_of_the_file_as_they_are(fields):
    config = small("beta_vae", **fields, dataset_seed=3)
    dataset = make_dataset(config)
    indices, batch = dataset.indices(7), dataset.batch(7)
    expected = IMAGES.max(axis=-1, keepdims=True) if fields is GREY else IMAGES
    expected = torch.from_numpy(expected[indices]).movedim(-1, 2) / 255
    torch.testing.assert_close(batch.images, expected, rtol=0, atol=1e-7)
    assert batch.images.is_contiguous() and batch.factors.shape == (4, 5, len(config.factor_names))
    alone = make_dataset(config).batches([9, 7])[7]
    assert torch.equal(alone.images, batch.images) and torch.equal(alone.factors, batch.factors)
    assert not np.array_equal(dataset.indices(7), make_dataset(replace(config, dataset_seed=4)).indices(7))


def test_whole_videos_are_held_out_and_an_epoch_has_each_other_once():
    config = small("beta_vae", **COLOUR, num_test=512)
    dataset = make_dataset(config)
    seen = np.concatenate([dataset.indices(i) for i in range(72 // 4)])
    assert sorted([*seen, *dataset.test_indices]) == list(range(NUM_SAMPLES)) and len(dataset.test_indices) == 8
    assert dataset.test_set().images.shape == (8, 5, 3, 32, 32)


def test_the_least_share_of_the_samples_is_one():
    assert len(make_dataset(small("beta_vae", **COLOUR, split="samples", train_share=0.001)).train_indices) == 1


def test_a_share_of_the_samples_can_be_held_out_too():
    half = make_dataset(small("beta_vae", **COLOUR, split="samples", train_share=0.5))
    whole = make_dataset(small("beta_vae", **COLOUR))
    assert len(half.train_indices) == 36 and set(half.train_indices) < set(whole.train_indices)
    assert np.array_equal(half.test_indices, whole.test_indices)
    trained = torch.from_numpy(IMAGES[half.train_indices[:8]]).movedim(-1, 2) / 255
    torch.testing.assert_close(half.seen_set().images, trained, rtol=0, atol=1e-7)
    assert whole.seen_set() is None


def test_levels_of_what_rests_can_be_held_out(tmp_path):
    dataset = make_dataset(small("beta_vae", **COLOUR, split="levels", train_share=0.67))
    assert set(dataset.levels()) == {"hue"} and dataset.levels()["hue"].values.tolist() == [0, 0.5, 1]
    trained = {float(f) for f in dataset.members.factors(dataset.train_indices)[:, 0, 2]}
    tested = {float(f) for f in dataset.members.factors(dataset.test_indices)[:, 0, 2]}
    assert len(trained) == 2 and len(tested) == 1 and not trained & tested
    size = np.random.default_rng(0).random((NUM_SAMPLES, 1))
    fields = _fields(tmp_path, "size", images=IMAGES, factors=size)
    levels = make_dataset(small("beta_vae", **fields, split="levels", train_share=0.5)).levels()["size"]
    assert 10 < len(levels.values) <= 16 and levels.trained.sum() == round(len(levels.values) / 2)


@pytest.mark.parametrize(("declared", "number"), [("kind", 6), ("kind:category", NUM_SAMPLES)])
def test_few_values_and_all_categories_are_levels_as_they_are(tmp_path, declared, number):
    kinds = np.arange(NUM_SAMPLES)[:, None] % number
    fields = _fields(tmp_path, declared, images=IMAGES, factors=kinds)
    levels = make_dataset(small("beta_vae", **fields, split="levels", train_share=0.5)).levels()["kind"]
    np.testing.assert_allclose(levels.values, np.arange(number) / (number - 1), atol=1e-6)


def test_factors_are_brought_to_0_and_1(tmp_path):
    rng = np.random.default_rng(1)
    given = np.stack([rng.uniform(-5, 20, 80), rng.choice([2, 3, 50], 80), rng.uniform(-360, 720, 80)], axis=1)
    fields = _fields(tmp_path, "size,shape:category,angle:period=360", images=IMAGES, factors=given)
    factors = make_dataset(small("beta_vae", **fields))._all_factors()
    assert factors.shape == (80, 5, 3) and (factors == factors[:, :1]).all()
    scaled = (given[:, 0] - given[:, 0].min()) / np.ptp(given[:, 0])
    np.testing.assert_allclose(factors[:, 0, 2], given[:, 2] % 360 / 360, atol=0.04)  # the middle of an interval
    np.testing.assert_allclose(factors[:, 0, 0], scaled, atol=0.04)
    samples = make_dataset(small("beta_vae", **fields)).members.factors(np.arange(80))
    np.testing.assert_allclose(samples[:, 0, 0], scaled, atol=1e-6)
    np.testing.assert_allclose(samples[:, 0, 2], given[:, 2] % 360 / 360, atol=1e-6)
    np.testing.assert_array_equal(samples[:, 0, 1], np.searchsorted([2, 3, 50], given[:, 1]) / np.float32(2))


def test_the_axes_of_a_command_get_what_the_file_holds():
    axes = {"beta": (0.1, 1.0), "dataset": ("arrays",), "data_file": (COLOUR["data_file"],)}
    whole = with_contents(axes)
    assert whole == axes | {name: (COLOUR[name],) for name in ("data_factors", "data_contents")}
    assert with_contents(whole) == whole
    assert with_contents({"beta": (0.1,)}) == {"beta": (0.1,)}
    renamed = with_contents(axes | {"data_factors": ("x, y, kind",)})
    assert renamed["data_factors"] == ("x,y,kind",)
    wrong = COLOUR["data_contents"].replace("sha256:", "sha256:f")[:-15] + " 80x5x32x32x3"
    with pytest.raises(UserError, match="a sweep is of one file; give one"):
        with_contents(axes | {"data_file": ("a.npz", "b.npz")})
    with pytest.raises(UserError, match=r"data_factors = x y kind: .*give its factors with commas between"):
        with_contents(axes | {"data_factors": ("x", "y", "kind")})
    with pytest.raises(UserError, match="not data_contents ="):
        with_contents(axes | {"data_contents": (wrong,)})
    with pytest.raises(UserError, match="every factor moves; use split = samples"):
        with_contents(axes | {"data_file": (GREY["data_file"],), "split": ("levels",)})


def test_where_every_factor_moves_no_level_can_be_held_out():
    with pytest.raises(UserError, match=r"every factor moves; use split = samples"):
        make_dataset(small("beta_vae", **GREY, split="levels", train_share=0.5))


def test_a_state_comes_back(tmp_path):
    stack = Stack([small("inertia_vae", **COLOUR)])
    stack.step(3)
    (trial,) = stack
    resumed = Stack()
    resumed.add(trial.config, load_state(dump_state(trial.state())))
    stack.step(2)
    resumed.step(2)
    (again,) = resumed
    assert all(torch.equal(again.state().weights[name], w) for name, w in trial.state().weights.items())


# What is scored and shown


def test_without_factors_scores_of_factors_are_left_out():
    config = small("inertia_vae", **BARE)
    model = build_model(config).eval()
    metrics = evaluate(model, config, make_dataset(config).test_set()).metrics
    assert not any(name.split("/")[0] in OF_FACTORS for name in metrics)
    assert set(metrics) >= reported_by(config) >= {"active_units", "kl", "prediction_ratio"}
    assert model_scores(model, config, tuple(FURTHER)).keys() == {"active_units_stills"}
    said = "--metric mcc cannot rank these trials, since not all of them report it; choose one of reconstruction_error"
    with pytest.raises(UserError, match=said):
        check_metric("metric", "mcc", [config])
    table = latent_table(model, config, make_dataset(config).test_set())
    assert table["follows"].isna().all() and table["correlation"].isna().all() and table["kl"].notna().all()


@pytest.mark.filterwarnings("ignore::dd_ray.metrics.FewPointsWarning")
def test_scores_are_of_the_frames_of_held_out_videos():
    config = small("inertia_vae", **COLOUR)
    model = build_model(config).eval()
    test_set = make_dataset(config).test_set()
    factors, pictures = held_out_pictures(config, 10_000)
    np.testing.assert_array_equal(factors, test_set.factors.flatten(0, 1).numpy())
    np.testing.assert_array_equal(pictures, (test_set.images * 255).round().flatten(0, 1).movedim(1, -1).numpy())
    np.testing.assert_array_equal(held_out_stills(config, 17), factors[:10])  # whole videos, an even number
    np.testing.assert_array_equal(held_out_stills(config, 1), factors[:10])  # one for each half, at least
    split = small("inertia_vae", **COLOUR, split="levels", train_share=0.67)
    np.testing.assert_array_equal(held_out_stills(split, 10_000), factors)  # the same for every network
    latents, _ = encode_test_stills(model, config)
    with torch.inference_mode():
        np.testing.assert_allclose(latents, model.code(test_set.images).flatten(0, 1).numpy(), rtol=1e-4, atol=1e-6)
    scores = model_scores(model, config, tuple(FURTHER))
    assert {"mcc_stills", "dci_disentanglement", "block_r2_gap"} <= scores.keys()
    assert not {"factor_vae", "beta_vae", "notebook_cross_correlation"} & scores.keys()
    with pytest.raises(UserError, match="arrays are the samples of a file, and have no pictures of other factors"):
        render_stills(config, factors[:1])


def test_pictures_are_in_colour():
    config = small("inertia_vae", **COLOUR)
    model = build_model(config).eval()
    evaluation = evaluate(model, config, make_dataset(config).test_set())
    assert evaluation.picture.shape == (12 * 32, 3 * 32, 3) and evaluation.traversal.shape == (4 * 32, 7 * 32, 3)
    picture = held_out_picture(config, 2, 3)
    np.testing.assert_array_equal(picture.shown, IMAGES[make_dataset(config).test_indices[2], 3])
    np.testing.assert_array_equal(evaluation.picture[:32, -32:], IMAGES[make_dataset(config).test_indices[0], 4])
    assert traversal(model, config).shape == (4, 7, 32, 32, 3)
    bare = small("inertia_vae", **BARE)
    assert middle_picture(bare)[:2] == (0, 0)
    np.testing.assert_array_equal(middle_picture(bare).shown, held_out_picture(config, 0).shown)


def test_stills_are_shown_as_videos_of_one_frame(tmp_path):
    fields = _fields(tmp_path, "x,y,hue", images=IMAGES[:, 0], factors=FACTORS[:, 0])
    config = small("beta_vae", **fields)
    assert config.frames == 1 and held_out_videos(config, 64).images.shape == (8, 1, 3, 32, 32)
    assert "prediction_ratio" not in evaluate(build_model(config), config, make_dataset(config).test_set()).metrics
    with pytest.raises(UserError, match=r"inertia_vae needs videos; .*not the still pictures of data_file"):
        small("inertia_vae", **fields)


# What is refused


def _far_apart(number):
    """Factors [N, 1] whose range is above the largest float."""
    return np.linspace(-1, 1, number)[:, None] * 1.7e308


def _with_nan(values):
    values = values.astype(np.float32) / 255
    values[3, 0, 4, 4] = np.nan
    return values


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "has no array images; save it under that name"),
        ({"images": IMAGES, "labels": FACTORS}, "has an array labels, which means nothing here; name its arrays"),
        ({"images": IMAGES.astype(np.int64)}, r"images are int64; give uint8, or .* / 255, if 255 is white"),
        ({"images": IMAGES[0, 0]}, r"images are of 32×3 pixels \(shape \(32, 32, 3\)\)"),
        ({"images": IMAGES.swapaxes(2, 4)}, r"images are of shape \(80, 5, 3, 32, 32\); give videos \[N, T, H, W\]"),
        ({"images": np.zeros((30, 5, 48, 48), np.uint8)}, "of 48×48 pixels .*32×32 or 64×64; resize each frame"),
        ({"images": np.zeros((30, 5, 32, 64), np.uint8)}, "of 32×64 pixels"),
        ({"images": IMAGES[:19]}, "give 20 samples or more"),
        ({"images": IMAGES[:, :0]}, r"shape \(80, 0, 32, 32, 3\); give 20 samples or more, of a frame at least"),
        ({"images": IMAGES.astype(np.float32)}, r"images are float32 from 0 to 255; floats must be in \[0, 1\]"),
        ({"images": _with_nan(IMAGES)}, "from nan to nan.*without NaN"),
        ({"images": IMAGES // 255}, "none of their values is above 1, all but black; multiply them by 255"),
        ({"images": IMAGES, "factors": FACTORS[:79]}, r"factors are of shape \(79, 5, 3\), and images of 80 samples"),
        ({"images": IMAGES, "factors": FACTORS[:, :4]}, "with 5 frames; give as many factors"),
        ({"images": IMAGES, "factors": FACTORS[:, 0, 0]}, r"factors are of shape \(80,\); give \[N, F\]"),
        ({"images": IMAGES, "factors": FACTORS * np.nan}, "factors hold NaN or infinite values"),
        ({"images": IMAGES, "factors": FACTORS.astype("U3")}, "factors are <U3; give numbers"),
        ({"images": IMAGES, "factors": FACTORS}, "has 3 factors without names; give data_factors = NAME,NAME"),
        (
            {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["a", "b"])},
            r"^data_file = \S+\.npz: factor_names = a,b names 2 factors, and the file has 3; give as many\.$",
        ),
        (
            {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["a", "b", "c d"])},
            r"^data_file = \S+\.npz: factor_names: 'c d' declares no factor; give NAME",
        ),
        ({"images": IMAGES, "factor_names": np.array(["a", "b"])}, "names 2 factors, and .* has none"),
        ({"images": IMAGES, "factors": FACTORS, "factor_names": np.arange(3)}, r"factor_names are int64 \(3,\)"),
        (
            {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["a", "b", "a"])},
            "names = a,b,a names a twice",
        ),
        ({"images": IMAGES, "factors": FACTORS * 0, "factor_names": np.array(["a", "b", "c"])}, "a has one value in"),
        (
            {"images": IMAGES, "factors": _far_apart(80), "factor_names": np.array(["a"])},
            "a goes from -1.7e.308 to 1.7e",
        ),
        (
            {"images": IMAGES, "factors": FACTORS, "factor_names": np.array(["a", "b", "c"], dtype=object)},
            r"is no .npz of plain arrays.*one is of Python objects; save names by astype\(str\)",
        ),
        ({"images": np.array([None] * 20)}, "is no .npz of plain arrays"),
        (
            {"images": (IMAGES / 255).astype(">f4")},
            r"images are >f4; give uint8, or floats in \[0, 1\], such as by astype",
        ),
        ({"images": (IMAGES / 255).astype(np.longdouble)}, r"images are <f16; give uint8, or floats in \[0, 1\]"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_a_sentence(tmp_path, arrays, message):
    with pytest.raises(UserError, match=message):
        _fields(tmp_path, **arrays)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a b", "'a b' declares no factor; give NAME, NAME:category or NAME:period=P"),
        ("", "'' declares no factor"),
        ("a:kind", "'a:kind' declares no factor"),
        ("a:period=0", "'a:period=0' has no period; give a positive number"),
        ("a:period=x", "'a:period=x' has no period"),
    ],
)
def test_names_that_are_none_are_refused(text, message):
    with pytest.raises(UserError, match=message):
        factors_of(text)
    assert [str(f) for f in factors_of("a, b:category,c:period=0.1")] == [
        "a",
        "b:category",
        "c:period=0.10000000000000001",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data_file": None}, "arrays needs data_file, the path of an .npz"),
        ({"data_contents": None}, "arrays needs data_contents.*fields_of_file"),
        ({"data_contents": "something"}, "data_contents = something describes no file"),
        ({"data_contents": f"sha256:{'0' * 32} {'9' * 5000}x1x32x32x1"}, "describes no file"),
        (
            {"image_size": 64, "network": "mlp"},
            "image_size = 64 is not that of data_file, .*give image_size = 32, with",
        ),
        ({"num_frames": 5}, "num_frames = 5 has no effect on arrays; leave it out, or use moving_circles or moving_"),
        ({"grid": "original"}, "grid = original has no arrays, which no published set has; give grid = continuous"),
        ({"background": "black"}, "background = black has no effect on arrays"),
        ({"grid": "original"}, "grid = original has no arrays"),
        ({"model": "supervised_encoder", "beta": None, "data_factors": None}, "needs factors, and data_file has none"),
        ({"split": "levels", "data_factors": None}, "split = levels needs factors, and data_file has none"),
        (
            {"dataset": "moving_circles"},
            "data_contents = .* has no effect on moving_circles|data_file = .* has no effect",
        ),
    ],
)
def test_a_config_that_does_not_suit_the_file_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        TrialConfig(**{"model": "beta_vae", "beta": 0.1, **COLOUR, **changes})


def test_a_video_that_is_too_short_is_refused(tmp_path):
    fields = _fields(tmp_path, images=IMAGES[:, :2])
    with pytest.raises(UserError, match="T = 2 of the videos in data_file is too few"):
        small("beta_vae", **fields)


def test_a_single_array_and_a_file_that_is_none_are_refused(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    with pytest.raises(UserError, match=r"none cannot be read: .*; give the path of an \.npz or of a folder\.$"):
        fields_of_file(str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"is one array; give an .npz, or the folder"):
        fields_of_file(str(tmp_path / "images.npy"))
    (tmp_path / "own.npz").write_bytes(b"PK\x03\x04 and nothing")
    with pytest.raises(UserError, match=r"is no .npz of plain arrays"):
        fields_of_file(str(tmp_path / "own.npz"))
    for content in (b"", b"\x00\x00\x00\x18ftypmp42", b"x,y\n1,2\n"):
        (tmp_path / "own.npz").write_bytes(content)
        with pytest.raises(UserError, match=r"is no .npz of plain arrays.*save the frames by NumPy's savez"):
            fields_of_file(str(tmp_path / "own.npz"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_damaged_file_is_refused_with_a_sentence(tmp_path, method):
    np.save(tmp_path / "images.npy", IMAGES)
    with zipfile.ZipFile(tmp_path / "own.npz", "w", method) as archive:
        archive.write(tmp_path / "images.npy", "images.npy")
    content = bytearray((tmp_path / "own.npz").read_bytes())
    begins = content.index(b"images.npy")
    content[begins + 70 : begins + 80] = b"(" * 10
    (tmp_path / "own.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"is no .npz of plain arrays"):
        fields_of_file(str(tmp_path / "own.npz"))
