# SPDX-License-Identifier: Apache-2.0
"""trit reads and refuses the same safetensors headers as the reference reader (package
safetensors, in Rust) from a generated list of broken ones, except where it is stricter on
purpose."""
import copy
import json

import safetensors

import parity
from tritd import SLOW

DATA = bytes(range(24))
HEADER = {
    "__metadata__": {"format": "pt", "note": "x"},
    "a.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
    "b.bias": {"dtype": "U8", "shape": [8], "data_offsets": [16, 24]},
}
# Every element type of the reference reader, with an element's bits.
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4,
        "F6_E2M3": 6, "F6_E3M2": 6, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16,
        "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "C64": 64, "F64": 64, "I64": 64,
        "U64": 64}
# Values that stand in the place of every other one, as they are written in JSON.
VALUES = ["null", "true", "0", "-0", "1", "-1", "1.0", "1e0", "01", "9223372036854775807",
          "9223372036854775808", "18446744073709551615", "18446744073709551616", '""', '"x"',
          "[]", "[0]", "[0, 16, 24]", "[[1]]", "{}", '{"x": 1}', "NaN", "nul", ""]

# What trit refuses and the reference reader takes, by the beginning of the case's name.
STRICTER = {
    "spaces before": "a header begins with {, says the format's description",
    "a newline before": "so it does",
    "a tab before": "so it does",
    "a tensor twice": "readers differ in which one they take",
    "a key twice: metadata": "readers differ in which one they take",
    "a name: 1025 bytes": "FILES_NAME_BYTES_MAX",
    "a name: a newline": "names are shown in terminals, reports and pages",
    "a name: an escape character": "names are shown",
    "a name: a zero": "names are C strings",
    "a name: a delete": "names are shown",
    "a shape: more than 8 axes": "TRIT_RANK_MAX",
    "a shape: 2^63": "numbers are at most 2^63-1, as JSON libraries have them",
}


def file_of(text, data=DATA, length=None):
    text = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def dumped(header):
    return json.dumps(header)


def paths(value, at=()):
    """The path of every value in the header."""
    yield at
    if isinstance(value, (dict, list)):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(child, (*at, key))


def replaced(path, text):
    """HEADER with the value at the path written as `text`."""
    if not path:
        return text
    header = copy.deepcopy(HEADER)
    inside = header
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = "@"
    return dumped(header).replace('"@"', text)


def removed(path):
    header = copy.deepcopy(HEADER)
    inside = header
    for step in path[:-1]:
        inside = inside[step]
    del inside[path[-1]]
    return dumped(header)


def entry(dtype, shape, begin, end, **more):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end], **more}


def values_replaced():
    for path in paths(HEADER):
        name = "/".join(map(str, path))
        if path:
            yield f"without {name}", file_of(removed(path))
        for value in VALUES:
            yield f"{name} = {value}", file_of(replaced(path, value))


def lengths():
    text = dumped(HEADER)
    for count in range(10):
        yield f"a file of {count} bytes", file_of(text)[:count]
    for length in (0, 1, len(text) - 1, len(text) + 1, len(text) + 24, len(text) + 25, 10 ** 8,
                   10 ** 8 + 1, 2 ** 31, 2 ** 32, 2 ** 63, 2 ** 64 - 1):
        yield f"a length of {length}", file_of(text, length=length)
    yield "an empty header", file_of("")
    yield "an empty object without data", file_of("{}", b"")
    yield "an empty object with data", file_of("{}")
    yield "a file cut in the data", file_of(text)[:-1]
    yield "a byte after the data", file_of(text, DATA + b"x")
    yield "no data", file_of(text, b"")


def texts():
    text = dumped(HEADER)
    for name, pad in (("spaces", " " * 7), ("a newline", "\n"), ("a tab", "\t"), ("a zero", "\0"),
                      ("an x", "x"), ("an object", "{}"), ("a comma", ","),
                      ("a no-break space", "\u00a0"), ("a form feed", "\f")):
        yield f"{name} behind", file_of(text + pad)
        yield f"{name} before", file_of(pad + text)
        yield f"{name} inside", file_of(text.replace(": {", ":" + pad + "{", 1))
    yield "a byte order mark", file_of(b"\xef\xbb\xbf" + text.encode())
    yield "UTF-16", file_of(text.encode("utf-16-le"))
    yield "bytes that are not UTF-8", file_of(text.encode().replace(b"note", b"n\xff\xfee"))
    yield "a truncated UTF-8 sequence", file_of(text.encode().replace(b"note", b"not\xe2\x82"))
    yield "an overlong UTF-8 sequence", file_of(text.encode().replace(b"note", b"n\xc0\xafe"))
    yield "single quotes", file_of(text.replace('"', "'"))
    yield "a comment", file_of(text.replace("{", "{/**/", 1))
    yield "a comma at the end", file_of(text[:-1] + ",}")
    yield "no closing brace", file_of(text[:-1])
    yield "an unknown escape", file_of(text.replace("note", r"n\ote").replace(r"\o", r"\q"))
    yield "a raw newline in a string", file_of(text.replace("note", "no\nte"))


def members():
    def twice(key, first, second):
        return "{" + f'"{key}": {json.dumps(first)}, "{key}": {json.dumps(second)}' + "}"
    a, b = HEADER["a.weight"], HEADER["b.bias"]
    whole = entry("U8", [24], 0, 24)
    yield "a tensor twice: equal", file_of(twice("a", whole, whole))
    yield "a tensor twice: other", file_of(twice("a", a, whole))
    yield "a tensor twice: apart", file_of(
        dumped({"a": a})[:-1] + ', "b": ' + json.dumps(b) + ', "a": ' + json.dumps(a) + "}")
    yield "metadata twice", file_of(twice("__metadata__", {"x": "1"}, {"x": "1"})[:-1] +
                                    f', "a": {json.dumps(whole)}' + "}")
    yield "a key twice: metadata", file_of(
        '{"__metadata__": {"x": "1", "x": "2"}, "a": ' + json.dumps(whole) + "}")
    for key, value in whole.items():
        yield f"a key twice: {key}", file_of(
            '{"a": ' + json.dumps(whole)[:-1] + f', "{key}": {json.dumps(value)}' + "}}")
    yield "a further member: text", file_of(dumped({"a": entry("U8", [24], 0, 24, x="y")}))
    yield "a further member: object", file_of(dumped({"a": entry("U8", [24], 0, 24, x={})}))
    yield "only metadata", file_of(dumped({"__metadata__": {}}), b"")
    yield "empty metadata", file_of(dumped({"__metadata__": {}, "a": whole}))


def names():
    whole = entry("U8", [24], 0, 24)
    for name, key in (("ASCII", '"a"'), ("none", '""'), ("a space", '" "'), ("umlauts", '"ü.ß"'),
                      ("an escape", r'"\u00e9"'), ("a pair of surrogates", r'"\ud83d\ude00"'),
                      ("half a pair", r'"\ud83d"'), ("the other half", r'"\ude00"'),
                      ("a path", '"../x"'), ("Metadata", '"__Metadata__"'),
                      ("1024 bytes", '"' + "x" * 1024 + '"'),
                      ("1025 bytes", '"' + "x" * 1025 + '"'), ("a newline", r'"a\nb"'),
                      ("an escape character", r'"a\u001bb"'), ("a zero", r'"a\u0000b"'),
                      ("a delete", '"a\x7fb"'), ("no string", "1")):
        yield f"a name: {name}", file_of(f'{{{key}: {json.dumps(whole)}}}')


def shapes():
    for name, bits in BITS.items():
        for count in (0, 1, 2, 3, 4, 7, 8):
            size = (bits * count + 7) // 8
            data = bytes(size)
            yield f"{count} of {name}", file_of(dumped({"a": entry(name, [count], 0, size)}), data)
    for name in ("f32", "F128", "F", "", "FLOAT32", "F8_E4M3FN", "I4", "U4", "BOOL ", "F32\0"):
        yield f"a dtype: {name!r}", file_of(dumped({"a": entry(name, [6], 0, 24)}))
    for name, shape in (("none", []), ("8 axes", [1] * 8), ("more than 8 axes", [1] * 9),
                        ("more than 8 axes, many", [1] * 40), ("0", [0]), ("0, 2^62", [0, 2 ** 62]),
                        ("2^63 after 0", [0, 2 ** 63]), ("2^64 after 0", [0, 2 ** 64]),
                        ("2^124", [2 ** 62, 2 ** 62]), ("2^64", [2 ** 32, 2 ** 32]),
                        ("2^63-1", [2 ** 63 - 1]), ("2^64, then 0", [2 ** 32, 2 ** 32, 0])):
        for size in (0, 1, 24):
            yield f"a shape: {name} in {size}", file_of(
                dumped({"a": entry("U8", shape, 0, size)}), bytes(size))


def offsets():
    for begin, end, size in ((0, 24, 24), (1, 25, 25), (0, 23, 24), (0, 25, 24), (0, 25, 25),
                             (24, 0, 24), (24, 48, 24), (24, 48, 48), (0, 0, 0), (5, 5, 24)):
        yield f"offsets: {begin} to {end} of {size}", file_of(
            dumped({"a": entry("U8", [24], begin, end)}), bytes(size))
    for name, a, b in (("in order", (0, 12), (12, 24)), ("in the other order", (12, 24), (0, 12)),
                       ("with a hole", (0, 12), (13, 25)), ("overlapping", (0, 12), (11, 23)),
                       ("the same", (0, 12), (0, 12)), ("one inside", (0, 24), (4, 16)),
                       ("apart by 2^63", (0, 12), (2 ** 63, 2 ** 63 + 12))):
        header = {"a": entry("U8", [a[1] - a[0]], *a), "b": entry("U8", [b[1] - b[0]], *b)}
        yield f"offsets: {name}", file_of(dumped(header), bytes(max(a[1], b[1]) % 2 ** 16))
    for at in (0, 12, 24):
        header = {"a": entry("U8", [12], 0, 12), "e": entry("F32", [0], at, at),
                  "b": entry("U8", [12], 12, 24)}
        yield f"offsets: no bytes at {at}", file_of(dumped(header))
        header["e"]["data_offsets"] = [at + 1, at + 1]
        yield f"offsets: no bytes at {at + 1}", file_of(dumped(header))


CASES = {name: blob for source in (values_replaced, lengths, texts, members, names, shapes, offsets)
         for name, blob in source()}


def theirs(path):
    """Names, dtypes and shapes by the reference reader; None if it refuses the file."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            return {name: (file.get_slice(name).get_dtype(),
                           list(file.get_slice(name).get_shape())) for name in file.keys()}
    except safetensors.SafetensorError:
        return None


def reason(name):
    return next((why for start, why in STRICTER.items() if name.startswith(start)), None)


def test_headers_are_read_and_refused_as_by_the_reference_reader(tmp_path):
    """trit refuses each header that the reference reader refuses, and reads the others with the
    same names, types and shapes, except those in STRICTER."""
    names = list(CASES)[::8 if SLOW else 1]
    blobs = [CASES[name] for name in names]
    answers = dict(zip(names, parity.answers(tmp_path, ".safetensors", blobs, theirs)))
    differing = {name: answer for name, answer in answers.items() if answer[0] != answer[1]}
    assert {name for name in differing if not reason(name)} == set()
    assert all(mine is None for mine, _ in differing.values())
    if not SLOW:
        used = {start for start in STRICTER for name in differing if name.startswith(start)}
        assert used == set(STRICTER)  # a difference that is none any more is taken off the list
        taken = sum(their is not None for _, their in answers.values())
        assert 100 < taken < len(names) - 400, taken


def test_random_changes_are_not_read_against_the_reference_reader(tmp_path, random):
    """Of headers with one to three bytes changed at random, trit reads none that the reference reader
    refuses, and the others with the same names, types and shapes."""
    good = file_of(dumped(HEADER))
    cases = []
    for _ in range(30 if SLOW else 240):
        blob = bytearray(good)
        for at in random.integers(0, len(good) - len(DATA), random.integers(1, 4)):
            blob[at] = random.choice([blob[at] ^ 1 << random.integers(8), *b'0123456789[]{},:" '])
        cases.append(bytes(blob))
    answers = parity.answers(tmp_path, ".safetensors", cases, theirs, refused=False)
    assert [cases[i] for i, (mine, their) in enumerate(answers) if mine != their] == []
    assert SLOW or sum(mine is not None for mine, _ in answers) > 10
