"""Published weights: caches first, then the hub; without a network, one clear error."""

import dataclasses
import hashlib
import json
import os
import socket
import sys
import types

import numpy as np
import pytest
import safetensors.numpy

from jaxcam import cli, models
from jaxcam.models import catalogue, hub, pretrained

REPOSITORY = "timm/resnet18.tv_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
OTHER = "89abcdef" * 5


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, and a hub that may be asked."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("HF_HUB_OFFLINE")
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture(autouse=True)
def unpinned(monkeypatch):
    """The files of these tests are not the published ones, nor their commits."""
    rows = tuple(
        dataclasses.replace(row, revision=None, sha256=None)
        for row in pretrained.of("resnet18")
    )
    monkeypatch.setattr(pretrained, "ROWS", {**pretrained.ROWS, "resnet18": rows})


@pytest.fixture
def pinned(monkeypatch):
    """Gives the default weights of ResNet-18 a commit and a hash."""

    def install(revision, sha256):
        row = pretrained.of("resnet18")[0]
        row = dataclasses.replace(row, revision=revision, sha256=sha256)
        monkeypatch.setattr(pretrained, "ROWS", {"resnet18": (row,)})

    return install


@pytest.fixture(scope="module")
def state():
    """A state dict of a ResNet-18 as torch names it."""
    net = models.load("resnet18", weights="random", seed=1)
    found = {}
    for name, array in models.loading.named_arrays(net.params).items():
        module, _, leaf = name.rpartition(".")
        if leaf == "kernel":
            axes = (3, 2, 0, 1) if array.ndim == 4 else (1, 0)
            array = np.ascontiguousarray(array.transpose(axes))
        leaf = {
            "kernel": "weight",
            "scale": "weight",
            "mean": "running_mean",
            "var": "running_var",
        }.get(leaf, leaf)
        found[f"{module}.{leaf}"] = array
    return found


def into_cache(folder, state, *, blob=None, commit=COMMIT):
    """A snapshot as the client leaves it; returns the file's sha256."""
    content = safetensors.numpy.save(state)
    digest = hashlib.sha256(content).hexdigest()
    place = folder / "hub" / f"models--{REPOSITORY.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    for part in (place / "refs", place / "blobs", snapshot):
        part.mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(commit)
    (place / "blobs" / (blob or digest)).write_bytes(content)
    (snapshot / "model.safetensors").symlink_to(place / "blobs" / (blob or digest))
    return digest


class Hub(types.ModuleType):
    """Stands for the hub's client."""

    def __init__(self, answer):
        super().__init__("huggingface_hub")
        self.constants = types.SimpleNamespace(ENDPOINT="https://hub.invalid")
        self.answer, self.calls = answer, []

    def hf_hub_download(self, repository, file, *, revision):
        self.calls.append((repository, file, revision))
        return self.answer()


@pytest.fixture
def client(monkeypatch):
    """Installs a client with an answer, and a network."""

    def install(answer, *, network=True):
        made = Hub(answer)
        monkeypatch.setitem(sys.modules, "huggingface_hub", made)
        if network:
            monkeypatch.setattr(hub, "_reach", lambda endpoint: None)
        return made

    return install


def never():
    raise AssertionError("the hub was asked")


def test_the_hubs_cache_is_read_without_its_client(caches, state, client):
    asked = client(never)
    digest = into_cache(caches, state)
    model = models.load("resnet18")
    assert asked.calls == []
    assert model.trained
    assert model.label_set == "imagenet"
    assert model.provenance == {
        "name": "resnet18",
        "trained": True,
        "file": "model.safetensors",
        "weights": digest,
        "published": REPOSITORY,
        "licence": "BSD-3-Clause",
        "revision": COMMIT,
    }


def test_a_folder_called_after_weights_says_how_images_are_prepared(tmp_path, state):
    """As the command fetches them; which weights they are, only a hash says."""
    folder = tmp_path / "resnet18.a1_in1k"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(state))
    model = models.load("resnet18", weights=folder / "model.safetensors")
    assert model.input.interpolation == "bicubic"
    assert model.input.crop_fraction == 224 / 235
    assert "published" not in model.provenance


def test_what_is_not_cached_is_fetched_once_and_recorded(caches, state, client):
    def fetch():
        into_cache(caches, state)
        folder = hub.hub_cache() / "models--timm--resnet18.tv_in1k"
        return str(folder / "snapshots" / COMMIT / "model.safetensors")

    asked = client(fetch)
    assert models.load("resnet18").provenance["revision"] == COMMIT
    assert models.load("resnet18", weights="tv_in1k").trained
    assert asked.calls == [(REPOSITORY, "model.safetensors", None)]


def test_a_damaged_cache_is_refused_by_its_hash(caches, state, client):
    client(never)
    digest = into_cache(caches, state, blob="ab" * 32)
    with pytest.raises(ValueError, match=rf"sha256 {digest[:12]}.*instead of abababab"):
        models.load("resnet18")


def test_a_known_hash_is_demanded(caches, state, client, pinned):
    client(never)
    digest = into_cache(caches, state)
    pinned(None, digest)
    assert models.load("resnet18").trained
    pinned(None, "cd" * 32)
    with pytest.raises(ValueError, match=r"instead of cdcdcdcdcdcd"):
        models.load("resnet18")


def test_the_commit_of_a_row_is_fetched(caches, state, client, pinned):
    def fetch():
        into_cache(caches, state, commit=OTHER)
        folder = hub.hub_cache() / "models--timm--resnet18.tv_in1k"
        return str(folder / "snapshots" / OTHER / "model.safetensors")

    asked = client(fetch)
    pinned(OTHER, None)
    into_cache(caches, state)
    assert models.load("resnet18").provenance["revision"] == OTHER
    assert asked.calls == [(REPOSITORY, "model.safetensors", OTHER)]


def test_a_file_of_the_known_hash_will_do_from_any_commit(
    caches, state, client, pinned
):
    asked = client(never)
    pinned(OTHER, into_cache(caches, state))
    assert models.load("resnet18").provenance["revision"] == COMMIT
    assert asked.calls == []


def test_a_user_asks_for_a_commit(caches, state, client, pinned):
    """Of its file no hash is known, and torchvision's cache is not looked into."""
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"other bytes")

    def fetch():
        into_cache(caches, state, commit=OTHER)
        place = hub.hub_cache() / "models--timm--resnet18.tv_in1k"
        return str(place / "snapshots" / OTHER / "model.safetensors")

    asked = client(fetch)
    pinned(COMMIT, "cd" * 32)
    for _ in range(2):  # From the hub, then from its cache.
        model = models.load("resnet18", weights=f"tv_in1k@{OTHER}")
        assert model.provenance["revision"] == OTHER
    assert asked.calls == [(REPOSITORY, "model.safetensors", OTHER)]


def test_of_the_commit_of_a_row_the_hash_is_known(caches, state, client, pinned):
    client(never)
    pinned(COMMIT, "cd" * 32)
    into_cache(caches, state)
    with pytest.raises(ValueError, match="instead of cdcdcdcdcdcd"):
        models.load("resnet18", weights=f"tv_in1k@{COMMIT}")


def test_a_commit_that_cannot_be_had_is_in_the_command(client, monkeypatch):
    client(never)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError) as caught:
        models.load("resnet18", weights=f"tv_in1k@{OTHER}")
    assert f"model.safetensors --revision {OTHER} --local-dir" in str(caught.value)
    assert "--weights random" in str(caught.value)


@pytest.mark.parametrize(
    ("network", "weights", "error", "message"),
    [
        ("resnet50", "tv_in1k@main", ValueError, r"'main' is no commit.*40 hexad"),
        ("resnet50", "tv_in1k@", ValueError, "'' is no commit of timm/resnet50.tv"),
        ("resnet50", f"tv_in1k@{OTHER[:7]}", ValueError, "no commit of timm/resnet"),
        ("squeezenet1_1", f"tv_in1k@{OTHER}", ValueError, "is not on the hub"),
        ("resnet50", "tv3_in1k", FileNotFoundError, "tv_in1k, tv2_in1k, a1_in1k, or"),
        ("resnet50", f"a2_in1k@{OTHER}", FileNotFoundError, "no published weights of"),
    ],
)
def test_what_is_not_published_is_refused(client, network, weights, error, message):
    client(never)
    with pytest.raises(error, match=message):
        models.load(network, weights=weights)


def test_torchvisions_cache_is_read_and_its_name_is_a_check(caches, client, state):
    client(never)
    folder = caches / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "resnet18-f37072fd.pth").write_bytes(b"other bytes")
    found = hashlib.sha256(b"other bytes").hexdigest()[:12]
    for weights in (None, folder / "resnet18-f37072fd.pth"):
        with pytest.raises(ValueError, match=rf"sha256 {found}.* instead of f37072fd"):
            models.load("resnet18", weights=weights)


def test_published_files_are_recognised_and_bring_their_crop():
    name = "resnet50-11ad3fa6.pth"
    row = pretrained.recognise("resnet50", name, "11ad3fa6" + "0" * 56)
    assert row.tag == "tv2_in1k"
    spec = catalogue.ROWS["resnet50"].input
    assert row.input(spec).crop_fraction == 224 / 232
    assert pretrained.recognise("resnet50", "mine.pth", "0" * 64) is None
    assert pretrained.recognise("resnet50", "mine.pth", "11ad3fa6" + "0" * 56) is row


def test_without_a_client_it_is_said_how_to_get_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match="pip install 'jaxcam-eval") as caught:
        models.load("resnet18")
    assert_helpful(str(caught.value))


def assert_helpful(text):
    for part in (
        "no weights tv_in1k of resnet18 (timm/resnet18.tv_in1k)",
        f"{os.sep}hub nor ",
        "resnet18-f37072fd.pth",
        "hf download timm/resnet18.tv_in1k model.safetensors --local-dir resnet18.tv_",
        "--weights resnet18.tv_in1k/model.safetensors",
        "--weights random",
    ):
        assert part in text


def test_offline_nothing_is_asked(client, monkeypatch):
    client(never)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE is set") as caught:
        models.load("resnet18")
    assert_helpful(str(caught.value))


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ConnectionRefusedError("refused"), "refused"),
        (TimeoutError("timed out"), "timed out"),
    ],
)
def test_without_a_network_there_is_one_try(client, monkeypatch, failure, said):
    """The client, which would try again and again, is not asked at all."""
    asked, tries = client(never, network=False), []

    def connect(address, timeout):
        tries.append((address, timeout))
        raise failure

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(FileNotFoundError, match=said) as caught:
        models.load("resnet18")
    assert tries == [(("hub.invalid", 443), hub.PATIENCE)]
    assert hub.PATIENCE < 1
    assert asked.calls == []
    assert_helpful(str(caught.value))


def test_a_name_that_is_never_resolved_is_given_up(client, monkeypatch):
    client(never, network=False)
    monkeypatch.setattr(hub, "PATIENCE", 0.01)
    monkeypatch.setattr(hub.threading, "Thread", Silent)
    with pytest.raises(FileNotFoundError, match=r"no answer within 0\.01 s"):
        models.load("resnet18")


class Silent:
    """A thread that never answers."""

    def __init__(self, target, daemon):
        assert daemon

    def start(self):
        pass


def test_behind_a_proxy_the_proxy_is_called(client, monkeypatch, caches, state):
    tries = []
    closing = types.SimpleNamespace(close=lambda: None)

    def connect(address, timeout):
        tries.append(address)
        return closing

    def fetch():
        into_cache(caches, state)
        folder = hub.hub_cache() / "models--timm--resnet18.tv_in1k"
        return str(folder / "snapshots" / COMMIT / "model.safetensors")

    asked = client(fetch, network=False)
    monkeypatch.setenv("https_proxy", "http://gateway.invalid:3128")
    monkeypatch.setattr(socket, "create_connection", connect)
    assert models.load("resnet18").trained
    assert tries == [("gateway.invalid", 3128)]
    assert len(asked.calls) == 1


def test_what_the_hub_refuses_is_said(client):
    def gone():
        raise LookupError("404: the repository is gone\nmore\nlines")

    client(gone)
    with pytest.raises(FileNotFoundError, match=r"them \(404: .* gone\)") as caught:
        models.load("resnet18")
    assert_helpful(str(caught.value))


def test_weights_that_torchvision_does_not_have_name_the_hub_alone(client, monkeypatch):
    client(never)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for network in ("deit_small_patch16_224", "xception", "convnext_tiny"):
        with pytest.raises(FileNotFoundError, match="hf download timm/") as caught:
            models.load(network)
        assert "checkpoints" not in str(caught.value)


def test_weights_that_are_not_on_the_hub_name_an_address(client):
    client(never)
    with pytest.raises(FileNotFoundError, match=r"curl -LO https://download\.pyt"):
        models.load("squeezenet1_1")


def test_the_command_line_says_the_same(client, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    client(never)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert cli.main(["evaluate", "--model", "resnet18"]) == 2
    assert_helpful(capsys.readouterr().err)


def test_an_untrained_net_says_so_in_every_file_of_a_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = "evaluate --model shapes_net --weights random --limit 2 --methods cam "
    command += "--metrics energy_pointing_game --out run"
    assert cli.main(command.split()) == 0
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["scientific"]["model"]["trained"] is False
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert all(record["untrained"] for record in summary)


@pytest.mark.parametrize("network", pretrained.ROWS)
def test_rows_are_complete(network):
    rows = pretrained.of(network)
    assert len({row.tag for row in rows}) == len(rows)
    for row in rows:
        assert row.repository or row.torch_file
        assert row.licence in ("BSD-3-Clause", "Apache-2.0")
        assert row.torch_file is None or len(row.prefix) == 8
        assert row.revision is None or len(row.revision) == 40
        assert row.sha256 is None or len(row.sha256) == 64
        if row.repository:
            assert row.repository.endswith(f".{row.tag}")
        assert row.label_set == catalogue.ROWS[network].label_set
        forms = {source.sign for source in catalogue.ROWS[network].sources}
        assert row.form is None or row.form in forms
    listed = models.published_weights(network)
    assert [row["weights"] for row in listed] == [row.tag for row in rows]
    for row in listed:
        unknown = {key for key, value in row.items() if not value}
        assert unknown <= {"commit", "sha256", "torch file"}
        assert 0.8 < int(row["size"].split("x")[0]) / int(row["resized to"]) <= 1
        assert row["cam layer"] == catalogue.ROWS[network].cam_layer


def test_pins_are_of_rows():
    """None is left behind by a name that is spelled otherwise."""
    rows = [row for network in pretrained.ROWS for row in pretrained.of(network)]
    published = {row.repository for row in rows}
    assert {f"timm/{name}" for name in pretrained.PINS} <= published
    assert all(len(digits) == 64 for _, digits in pretrained.PINS.values())
