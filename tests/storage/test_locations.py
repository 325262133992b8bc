"""Locations that a user gives: they stay below their storage, are told apart, hold no keys, or are refused."""

import string
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray.cli import main, parse
from dd_ray.config import TrialConfig
from dd_ray.config.urls import holds_key, split_url
from dd_ray.errors import UserError
from dd_ray.storage.files.locations import (
    bucket_of,
    check_name,
    name_of,
    parse_location,
    storage_of,
    sweep_location,
    without_options,
)
from dd_ray.sweep.checks import check_options
from dd_ray.sweep.options import SweepOptions
from dd_ray.tune.joining import prepare_to_join
from tests.sweep.studies import TINY

STORAGES = ("/data/sweeps", "file:///data/sweeps", "s3://bucket/sweeps?region=x", "gs://bucket")
DSPRITES = {"dataset": "dsprites", "grid": "original", "background": "black"}
drawn = settings(derandomize=True, deadline=None, max_examples=100)
awkward = st.text(st.sampled_from("ab./%25eEfF?#&=\\ ~@:é\n\x1b"), min_size=1, max_size=12)


def folder_of(storage: str, name: str) -> str:
    """What a name's files are below, as a file system or a store understands it."""
    place = parse_location(sweep_location(storage, name))
    return str(place) if isinstance(place, Path) else f"{place.netloc}{unquote(place.path)}"


@drawn
@given(name=awkward, other=awkward, storage=st.sampled_from(STORAGES))
def test_a_name_is_one_folder_of_its_storage_and_no_other_name_s(name, other, storage):
    for each in (name, other):
        try:
            check_name(each, storage)
        except UserError:
            return
    folders = [folder_of(storage, each) for each in (name, other)]
    assert [folder.rpartition("/")[2] for folder in folders] == [name, other]
    assert (folders[0] == folders[1]) == (name == other)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("name", ["mine", "a b", "été", "x.y=1&z"])
def test_storage_and_name_of_a_sweep_follow_from_its_location(name, storage):
    check_name(name, storage)
    location = sweep_location(storage, name)
    assert (storage_of(location), name_of(location)) == (storage, name)
    assert without_options(location).endswith(f"/{name}")


def test_a_folder_s_name_may_hold_a_question_mark():
    check_name("a?b", "/data/sweeps")
    location = sweep_location("/data/sweeps", "a?b")
    assert location == without_options(location) == "/data/sweeps/a?b"
    assert (storage_of(location), name_of(location)) == ("/data/sweeps", "a?b")


@pytest.mark.parametrize("storage", STORAGES)
def test_a_slash_at_the_end_of_a_location_changes_nothing(storage):
    def with_slash(location: str) -> str:
        return f"{without_options(location)}/{location.removeprefix(without_options(location))}"

    location = sweep_location(storage, "mine")
    assert sweep_location(with_slash(storage), "mine") == location
    assert (storage_of(with_slash(location)), name_of(with_slash(location))) == (storage, "mine")


def test_a_storage_may_be_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sweep_location("~/sweeps", "mine") == f"{tmp_path}/sweeps/mine"


def test_a_bucket_that_anybody_may_read_is_named_without_the_user():
    assert bucket_of(parse_location("gs://anonymous@bucket/x")) == "bucket"


@pytest.mark.parametrize(
    ("storage", "name", "message"),
    [
        ("s3://b", "a?b", r"'a\?b' holds \?, which means something else in a URL"),
        ("gs://b", "50%", "'50%' holds %, which"),
        ("/data", "é" * 128, "--name 'ééé.* is not a folder name"),
        ("/data", "x" * 300, "--name 'x{20}…' is not a folder name"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(storage, name, message):
    with pytest.raises(UserError, match=message):
        check_name(name, storage)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///data?x=y", r"^file:///data\?x=y has a \?, which means nothing there; give a folder"),
        ("file://results", "^file://results names the host results, which"),
        ("file:///data#", "^file:///data# ends with #, which"),
        ("s3://b/x?endpoint=", "has the unknown option endpoint; there are endpoint_override"),
    ],
)
def test_what_is_wrong_with_a_location_is_said(location, message):
    with pytest.raises(UserError, match=message):
        parse_location(location)


@pytest.mark.parametrize("name", ["%2e%2e%2Fescaped", "a?b", "a#b", "..", ".", "", " ", "a/b", "a\nb", "é" * 200])
def test_names_that_are_no_folder_s_are_refused(name):
    with pytest.raises(UserError, match=r"^--name .*; give letters, digits, _ and -\.$"):
        check_options(SweepOptions(storage="file:///data", name=name))


def test_a_name_that_leaves_its_storage_ends_the_command_before_anything_starts(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(TINY, ["--storage", f"file://{tmp_path}", "--name", "%2e%2e%2Fescaped"])
    assert capsys.readouterr().err.startswith("error: --name '%2e%2e%2Fescaped' holds %")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a b", "été", "50%", "a?b", "x" * 255])
def test_names_that_were_folders_before_still_are(name, tmp_path):
    assert parse(TINY, ["--storage", str(tmp_path), "--name", name]).location == f"{tmp_path}/{name}"


@pytest.mark.parametrize(
    "storage",
    [
        "s3://[",
        "s3://b:port/x",
        "s3://b:999999/x",
        f"s3://{'a' * 300}/x",
        f"gs://{'%61' * 300}",
        "~nouser/x",
        "file://results",
        "file:///data?x=y",
        "s3://b/x#part",
        "s3://b/%2e%2e/x",
        "s3://b/./x",
        "gs://b/a%0Ab",
        "file:///data/../x",
        "s3://b/x?endpoint=host",
        "ftp://host/x",
        "s3://",
    ],
)
def test_storages_that_mean_nothing_are_refused(storage):
    with pytest.raises(UserError, match=r"^[^\n]*; (give|there are) [^\n]*\.$"):
        check_options(SweepOptions(storage=storage))


@pytest.mark.parametrize(
    "key",
    [
        *("?pwd=hidden ?Auth=hidden ?jwt=hidden ?sas=hidden ?sas_token=hidden ?x-ms-sas=hidden ?oauth=hidden").split(),
        *("?bearer=hidden ?p%77d=hidden ?API-Key=hidden ?X-Amz-Signature=hidden ?passphrase=hidden").split(),
        *("?endpoint_override=user:hidden@host ?endpoint_override=user%3Ahidden%40host #token=hidden").split(),
        *("?scheme=http#sig=hidden ?proxy=http://hidden@host").split(),
    ],
)
def test_keys_are_refused_wherever_they_stand_and_not_repeated(key):
    remedies = {"s3": "set AWS_ACCESS_KEY_ID", "gs": "set GOOGLE_APPLICATION_CREDENTIALS", "file": "give a folder"}
    for scheme, remedy in remedies.items():
        with pytest.raises(UserError, match=f"a URL with keys would be stored .*{remedy}") as caught:
            parse_location(f"{scheme}://{'' if scheme == 'file' else 'bucket'}/x{key}")
        assert "hidden" not in str(caught.value)
    with pytest.raises(UserError, match="holds a key"):
        TrialConfig(model="beta_vae", beta=1, **DSPRITES, dsprites_file=f"https://host/file.npz{key}")


@pytest.mark.parametrize("url", ["s3://user:hidden@[", "s3://user:hidden@b:port", "s3://[?token=hidden"])
def test_a_url_that_cannot_be_read_does_not_repeat_what_could_be_a_key(url):
    with pytest.raises(UserError) as caught:
        parse_location(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("url", ["gs://anonymous:hidden@bucket/x", "s3://user%40bucket/x", "s3://user%3Ahidden%40b/x"])
def test_a_user_or_a_password_before_a_bucket_is_a_key_however_it_is_written(url):
    assert holds_key(split_url(url))


@pytest.mark.parametrize(
    "url", ["https://host/x?author=someone&version=2", "s3://b/x?region=kansas", "gs://anonymous@b/x"]
)
def test_what_is_no_key_is_taken(url):
    assert not holds_key(split_url(url))


@drawn
@given(
    user=st.text(string.ascii_letters + "%:", max_size=5),
    path=st.text(string.printable, max_size=10),
    scheme=st.sampled_from(["s3", "gs", "file", "http", ""]),
    tail=st.text("?#&=@[]:/ab%\x00", max_size=8),
)
def test_whatever_is_given_is_a_place_or_one_sentence(user, path, scheme, tail):
    for location in (f"{scheme}://{user}{path}{tail}", f"{scheme}://b/{quote(path)}{tail}"):
        with suppress(UserError):
            assert isinstance(parse_location(location), Path) == (scheme == "file")


NO_ADDRESSES = [f"{'a' * 300}:6379", f"{'a' * 70}:6379", "host:²", "[:6379", ":6379", "host:99999999"]


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_addresses_of_no_host_are_refused(address):
    with pytest.raises(UserError, match="--address"):
        prepare_to_join(address, insecure=False)
