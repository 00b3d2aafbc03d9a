"""State dicts of torch, read without torch; what would run code is refused."""

import io
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from jaxcam.models import torch_files

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
VALUES = dict(np.load(GOLDEN / "torch_files.npz"))


@pytest.mark.parametrize("name", ["torch_zip.pth", "torch_legacy.pth"])
def test_both_forms_are_read_to_the_bit(name):
    """Strides, shared storages, small types, parameters; wrapped in the second."""
    found = torch_files.read(GOLDEN / name)
    assert list(found) == list(VALUES)
    for key, expected in VALUES.items():
        assert found[key].shape == expected.shape
        np.testing.assert_array_equal(found[key].astype(np.float32), expected, key)
    types = {key: str(array.dtype) for key, array in found.items()}
    assert types["bfloat16"] == "bfloat16"
    assert types["half"] == "float16"
    assert types["count"] == "int64"
    assert types["flags"] == "bool"


def test_views_of_one_storage_share_its_memory():
    found = torch_files.read(GOLDEN / "torch_zip.pth")
    assert np.shares_memory(found["conv.weight"], found["transposed"])
    assert not found["transposed"].flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        found["first"][0] = 1


def test_a_program_is_no_file_of_weights():
    with pytest.raises(ValueError, match=r"TorchScript program.*torch\.jit\.load"):
        torch_files.read(GOLDEN / "torch_program.pt")


# What follows is written by hand, as an attacker would. Strings are pushed by V, a
# global by c, a call is R, `(` marks, t makes a tuple, `.` ends.

FLOATS = b"((Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nK\x04tQ"
"""A mark, and a storage of four numbers."""

TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n" + FLOATS + b"K\x00(K\x04t(K\x01t\x89)tR"


def saved(path, program, *, floats=4, **entries):
    """A zip file as torch saves it, around any pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", program)
        archive.writestr("net/byteorder", entries.get("order", b"little"))
        archive.writestr("net/data/0", np.arange(floats, dtype="<f4").tobytes())
    return path


def named(value):
    """A pickle of `{"a": value}`."""
    return b"(dVa\n" + value + b"s."


def test_a_file_written_by_hand_is_read(tmp_path):
    found = torch_files.read(saved(tmp_path / "net.pt", named(TENSOR)))
    np.testing.assert_array_equal(found["a"], [0, 1, 2, 3])


def test_the_byte_order_of_the_writer_counts(tmp_path):
    path = saved(tmp_path / "net.pt", named(TENSOR), order=b"big")
    swapped = np.arange(4, dtype="<f4").byteswap()
    np.testing.assert_array_equal(torch_files.read(path)["a"], swapped)


class Exploit:
    def __init__(self, reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


def ran(*_):
    raise AssertionError("code has run")


SYSTEM = b"cos\nsystem\n(Vtouch hacked\ntR."
EXPLOITS = {
    "os.system": SYSTEM,
    "posix.system": b"cposix\nsystem\n(Vtouch hacked\ntR.",
    "builtins.eval": b"cbuiltins\neval\n(V1/0\ntR.",
    "__builtin__.eval": b"c__builtin__\neval\n(V1/0\ntR.",
    "builtins.getattr": b"cbuiltins\ngetattr\n(ctorch\nFloatStorage\nV__init__\ntR.",
    "torch.load": b"ctorch\nload\n(Vhacked\ntR.",
    "torch.storage._load_from_bytes": b"ctorch.storage\n_load_from_bytes\n(C\x01xtR.",
    "torch._utils._rebuild_qtensor": b"ctorch._utils\n_rebuild_qtensor\n)R.",
    "torch.FloatStorage.__init__": b"\x80\x04\x8c\x05torch\x8c\x15FloatStorage."
    b"__init__\x93.",
    "collections.OrderedDict.fromkeys": b"ccollections\nOrderedDict.fromkeys\n)R.",
}


@pytest.mark.parametrize("name", EXPLOITS)
@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_what_would_be_imported_is_refused_by_name(tmp_path, monkeypatch, name, form):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.pth"
    if form == "zip":
        saved(path, EXPLOITS[name])
    else:
        path.write_bytes(legacy(EXPLOITS[name]))
    with pytest.raises(ValueError, match=rf"refused: it asks for {name}\b"):
        torch_files.read(path)
    assert [child.name for child in tmp_path.iterdir()] == ["net.pth"]


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_objects_of_python_are_refused(tmp_path, protocol):
    for reduced in ((ran, ()), (eval, ("1/0",)), (Exploit, (1,), {"a": 1})):
        state = OrderedDict(a=Exploit(reduced))
        path = saved(tmp_path / "net.pt", pickle.dumps(state, protocol))
        with pytest.raises(ValueError, match=r"is refused: .*torch\.save\(model"):
            torch_files.read(path)


@pytest.mark.parametrize(
    ("program", "message"),
    {
        # Calls of what is on the list, with what torch never passes.
        "size": (b"ctorch\nSize\n(Vabc\ntR.", "calls torch.Size with other arguments"),
        "pairs": (b"ccollections\nOrderedDict\n(K\x05tR.", "with other arguments"),
        "three": (b"ccollections\nOrderedDict\n(K\x05K\x05tR.", "other arguments"),
        "storage": (b"ctorch\nFloatStorage\n(K\x05tR.", "calls torch.FloatStorage"),
        "string": (b"Vos.system\n(tR.", "calls a str"),
        "tensor": (b"ctorch._utils\n_rebuild_tensor_v2\n(K\x05tR.", "other arguments"),
        "number": (
            named(TENSOR.replace(b"K\x00(K\x04t", b"V0\n(K\x04t")),
            "other arguments",
        ),
        "negative": (named(TENSOR.replace(b"(K\x01t", b"(I-1\nt")), "other arguments"),
        "boolean": (named(TENSOR.replace(b"(K\x04t(", b"(\x88t(")), "other arguments"),
        "ranks": (named(TENSOR.replace(b"(K\x01t", b")")), "other arguments"),
        "parameter": (
            b"ctorch._utils\n_rebuild_parameter\n(K\x05\x89)tR.",
            "other arguments",
        ),
        # Attributes.
        "build a class": (b"ccollections\nOrderedDict\n}b.", "attributes of collect"),
        "build a function": (
            b"ctorch._utils\n_rebuild_tensor_v2\n(VK\nK\x01db.",
            "attributes of torch._utils",
        ),
        "build a tensor": (named(TENSOR + b"}b"), "attributes of a Tensor"),
        # Instructions that make objects.
        "object": (b"(ccollections\nOrderedDict\no.", "uses OBJ"),
        "instance": (b"(ios\nsystem\n.", "uses INST"),
        "new": (b"ccollections\nOrderedDict\n)\x81.", "uses NEWOBJ"),
        "new with names": (b"ccollections\nOrderedDict\n)}\x92.", "uses NEWOBJ_EX"),
        "extension": (b"\x82\x01.", "uses EXT1"),
        # Persistent ids.
        "id": (b"Vhttp://example\nQ.", "outside of itself"),
        "old id": (b"Psomething\n.", "uses PERSID"),
        "module": (
            b"(Vmodule\nctorch\nFloatStorage\nV0\nVcpu\nK\x04tQ.",
            "outside of itself",
        ),
        "type": (b"(Vstorage\nctorch\nSize\nV0\nVcpu\nK\x04tQ.", "outside of itself"),
        "view": (
            b"(Vstorage\nctorch\nFloatStorage\nV0\nVcpu\nK\x04(V1\nK\x03K\x02ttQ.",
            "outside of itself",
        ),
        # The result.
        "global": (b"ccollections\nOrderedDict\n.", "not a state dict"),
    }.values(),
)
def test_calls_and_attributes_are_refused(tmp_path, program, message):
    with pytest.raises(ValueError, match=f"refused: .*{message}"):
        torch_files.read(saved(tmp_path / "net.pt", program))


DAMAGED = {
    "no end": named(TENSOR)[:-1],
    "cut": named(TENSOR)[:-20],
    "empty": b"",
    "no stack": b".",
    "no mark": b"K\x01t.",
    "no memo": b"h\x05.",
    "short tuple": b"K\x01\x87.",
    "unequal": b"(Va\nd.",
    "not a list": b"K\x01K\x02a.",
    "not a dict": b"K\x01K\x02K\x03s.",
    "key": b"(d(K\x01tK\x02s.",
    "unknown": b"\xff.",
    "huge": b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "two lengths": b"(dVa\n"
    + TENSOR
    + b"sVb\n"
    + TENSOR.replace(b"K\x04tQ", b"K\x03tQ")
    + b"s.",
    "beyond": named(TENSOR.replace(b"K\x00(K\x04t", b"K\x01(K\x04t")),
    "stride": named(TENSOR.replace(b"(K\x01t", b"(K\x02t")),
    "enormous": named(TENSOR.replace(b"(K\x04t(K\x01t", b"(I1000000000000\nt(K\x01t")),
    "repeated": named(
        TENSOR.replace(
            b"(K\x04t(K\x01t",
            b"(I4000000000\nI4000000000\nt(K\x00K\x00t",
        )
    ),
    "no storage": named(TENSOR.replace(b"V0\nVcpu", b"V1\nVcpu")),
    "elsewhere": named(TENSOR.replace(b"V0\nVcpu", b"V../data.pkl\nVcpu")),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_pickles_are_refused(tmp_path, case):
    with pytest.raises(
        ValueError, match=r"net.pt is damaged or no file of torch\.save"
    ):
        torch_files.read(saved(tmp_path / "net.pt", DAMAGED[case]))


@pytest.mark.parametrize("floats", [3, 5])
def test_a_storage_of_another_size_is_refused(tmp_path, floats):
    with pytest.raises(ValueError, match=rf"{4 * floats} bytes instead of 16"):
        torch_files.read(saved(tmp_path / "net.pt", named(TENSOR), floats=floats))


def test_compressed_entries_are_refused(tmp_path):
    path = tmp_path / "net.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", named(TENSOR))
        archive.writestr("net/data/0", bytes(10_000_000))
    with pytest.raises(ValueError, match="larger than the file"):
        torch_files.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", named(TENSOR))
        archive.writestr("net/data/0", bytes(16), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        torch_files.read(path)


def test_truncated_and_changed_archives_are_refused(tmp_path):
    whole = (GOLDEN / "torch_zip.pth").read_bytes()
    path = tmp_path / "net.pth"
    for cut in (2, 3, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="damaged"):
            torch_files.read(path)
    at = whole.index(np.float32(VALUES["conv.weight"].flat[0]).tobytes())
    path.write_bytes(whole[:at] + b"\x00\x00\x00\x01" + whole[at + 4 :])
    with pytest.raises(ValueError, match="CRC"):
        torch_files.read(path)


def legacy(program, keys=("0",), length=4, numbers=4):
    """A file as torch saved it before 1.6, around any pickle."""
    heads = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    stream = io.BytesIO()
    for head in heads:
        pickle.dump(head, stream, 2)
    stream.write(program)
    pickle.dump(list(keys), stream, 2)
    stream.write(struct.pack("<q", length))
    stream.write(np.arange(numbers, dtype="<f4").tobytes())
    return stream.getvalue()


def test_a_legacy_file_written_by_hand_is_read(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(legacy(named(TENSOR)))
    np.testing.assert_array_equal(torch_files.read(path)["a"], [0, 1, 2, 3])
    view = TENSOR.replace(b"K\x04tQ", b"K\x04(Vv\nK\x01K\x03ttQ")
    view = view.replace(b"(K\x04t(K\x01t", b"(K\x02t(K\x01t")
    path.write_bytes(legacy(named(view)))
    np.testing.assert_array_equal(torch_files.read(path)["a"], [1, 2])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"not a file of torch", "cannot be read"),
        (pickle.dumps(5, 2), "does not begin"),
        (pickle.dumps({"a": [1.0]}, 2), "does not begin"),
        (legacy(named(TENSOR))[:-1], "ends too early"),
        (legacy(named(TENSOR), length=5), "another length"),
        (legacy(named(TENSOR), length=2**60), "another length"),
        (legacy(named(TENSOR), keys=("1",)), "other storages"),
        (legacy(named(TENSOR), keys=()), "other storages"),
        (
            legacy(
                named(TENSOR.replace(b"K\x04tQ", b"I1000000000000\ntQ")), length=10**12
            ),
            "ends too early",
        ),
    ],
)
def test_damaged_legacy_files_are_refused(tmp_path, content, message):
    path = tmp_path / "net.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"damaged or no file of torch.*{message}"):
        torch_files.read(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0], "holds a list"),
        ({}, "holds no state dict, but nothing"),
        ({"weights": 1, "epoch": 2}, "but 'weights', 'epoch'"),
    ],
)
def test_other_content_is_refused(tmp_path, value, message):
    path = saved(tmp_path / "net.pt", pickle.dumps(value, 2))
    with pytest.raises(ValueError, match=rf"{message}.*torch\.save\(model"):
        torch_files.read(path)


def test_deep_nesting_ends_at_once(tmp_path):
    """A tuple of itself sixty times over has 2**60 leaves when printed or hashed."""
    bomb = b")" + b"2\x86" * 60
    grown = b")" + b"q\x00h\x00\x86" * 60
    for program in (bomb, grown):
        for around in (b"%s.", b"(d%sK\x01s.", b"%sQ.", b"ctorch\nSize\n(%stR."):
            with pytest.raises(ValueError, match=r"net\.pt"):
                torch_files.read(saved(tmp_path / "net.pt", around % program))
