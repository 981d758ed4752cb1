"""Every message of a protocol, each field in turn too many, too long, too large or not what it should be."""

import itertools
import json

from google.protobuf.descriptor import FieldDescriptor

LONG = {"long": 300, "longer": 100_000, "longest": 900_000}
MANY = {"many": 500, "more": 20_000, "most": 200_000}
ODD_TEXT = "a\0b\n\x1b[31m\u202e\ud7ff"
EXTREMES = {"least": -1, "most": 2**31 - 1}
DEEPEST = 4
# A message of more is not sent: this many bytes are enough to be too many.
MESSAGE_BYTES = 1_900_000


def mutations(kind, deep=0):
    """`(field path, what is wrong, what makes the message)` for each field of a protobuf class and of what it contains."""
    for field in kind.DESCRIPTOR.fields:
        for wrong, fill in of_field(field, deep):
            yield field.name, wrong, lambda fill=fill: filled(kind, fill)


def filled(kind, fill):
    message = kind()
    try:
        fill(message)
    except (ValueError, TypeError):
        # Python itself takes no such value for this field: what is left is an empty message.
        pass
    return message


def of_field(field, deep):
    """What can be wrong with a field: `(what, how it is filled in)`."""
    repeated = getattr(field, "is_repeated", None)
    repeated = field.label == FieldDescriptor.LABEL_REPEATED if repeated is None else repeated
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if is_map:
        for name, count in MANY.items():
            yield f"{name} entries", lambda message, count=count: fill_map(message, field, count)
        return
    if repeated:
        for name, count in MANY.items():
            yield f"{name} elements", lambda message, count=count: fill_list(message, field, count)
    if field.message_type is not None:
        if deep < DEEPEST:
            for path, wrong, make in mutations(field.message_type._concrete_class, deep + 1):
                yield f".{path}: {wrong}", lambda message, make=make: put_message(message, field, make(), repeated)
        return
    for name, value in wrong_values(field):
        yield name, lambda message, value=value: put_value(message, field, value, repeated)


def wrong_values(field):
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        is_text = field.type == FieldDescriptor.TYPE_STRING
        for name, length in LONG.items():
            yield name, "x" * length if is_text else b"x" * length
        yield "odd", ODD_TEXT if is_text else ODD_TEXT.encode()
    elif field.cpp_type in (FieldDescriptor.CPPTYPE_BOOL, FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        yield "set", 1
    else:
        yield from EXTREMES.items()


def fill_map(message, field, count):
    entries = getattr(message, field.name)
    value = field.message_type.fields_by_name["value"]
    for number in range(count):
        key = str(number) if field.message_type.fields_by_name["key"].cpp_type == FieldDescriptor.CPPTYPE_STRING else number
        if value.message_type is not None:
            entries[key].SetInParent()
        else:
            entries[key] = "x" if value.cpp_type == FieldDescriptor.CPPTYPE_STRING else 1


def fill_list(message, field, count):
    elements = getattr(message, field.name)
    if field.message_type is not None:
        for _ in range(count):
            elements.add()
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        texts = (f"TR_{number}" for number in range(count))
        elements.extend(texts if field.type == FieldDescriptor.TYPE_STRING else (text.encode() for text in texts))
    else:
        elements.extend(itertools.repeat(1, count))


def put_message(message, field, inner, repeated):
    if repeated:
        getattr(message, field.name).add().CopyFrom(inner)
    else:
        getattr(message, field.name).CopyFrom(inner)


def put_value(message, field, value, repeated):
    if repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def bodies(fields):
    """JSON bodies with each of `fields` (and their right values) wrong in turn, and bodies that are none."""
    wrong = {
        "long": "x" * 300,
        "longest": "x" * 900_000,
        "odd": ODD_TEXT,
        "null": None,
        "number": 1e308,
        "list": ["x"] * 100_000,
        "object": {str(number): number for number in range(50_000)},
        "empty": "",
    }
    for field in fields:
        for name, value in wrong.items():
            yield field, name, json.dumps({**fields, field: value}).encode()
        yield field, "deep", (json.dumps(fields)[:-1] + f', "{field}": ' + "[" * 100_000 + "]" * 100_000 + "}").encode()
    yield "body", "deep", b"[" * 500_000
    yield "body", "twice", b'{"roomName":"a","roomName":"b"}' * 2
    yield "body", "too long", b'{"x":"' + b"y" * 30_000_000
    yield "body", "no text", bytes(range(256)) * 1000
    yield "body", "nothing", b""
