/* SPDX-License-Identifier: Apache-2.0 */
/* Object headers: a list of messages, each with a type and a size. Layouts are those of the
 * HDF5 File Format Specification 3.0, section IV. */
#include "files/hdf5_object.h"

#include <string.h>

#include "base/checked.h"

enum message_type {
    MESSAGE_DATASPACE = 0x01,
    MESSAGE_LINK_INFO = 0x02,
    MESSAGE_DATATYPE = 0x03,
    MESSAGE_LINK = 0x06,
    MESSAGE_EXTERNAL = 0x07,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_FILTERS = 0x0b,
    MESSAGE_ATTRIBUTE = 0x0c,
    MESSAGE_CONTINUATION = 0x10,
    MESSAGE_SYMBOLS = 0x11,
};

enum datatype_class {
    CLASS_FIXED = 0,
    CLASS_FLOAT = 1,
    CLASS_STRING = 3,
    CLASS_OPAQUE = 5,
    CLASS_ENUM = 8,
    CLASS_VARIABLE = 9,
};

enum {
    PREFIX_BYTES = 16, /* of an object header of version 1 */
    MESSAGE_HEAD_BYTES = 8,
    MESSAGE_BYTES_MAX = 512, /* of those that are read; attributes of Keras are short */
    BLOCKS_MAX = 64,         /* of an object header */
    FLAG_SHARED = 2,
};

/* A message, of which the first bytes are in memory. */
struct message {
    unsigned type;
    uint64_t at, size; /* of its data */
    size_t count;
    uint8_t data[MESSAGE_BYTES_MAX];
};

int hdf5_refuse(struct hdf5_file *file, const char *what)
{
    return fail(file->failure, TRIT_INVALID_ARGUMENT, NULL, "HDF5: %s", what);
}

int hdf5_take(struct hdf5_file *file, uint64_t at, void *bytes, uint64_t count)
{
    if (at > file->bytes || count > file->bytes - at)
        return hdf5_refuse(file, "an address is beyond the end of the file");
    if (count > file->left)
        return hdf5_refuse(file, "it has more metadata than the bound allows");
    file->left -= count;
    return source_read(file->source, file->start + at, bytes, count, file->failure);
}

/* ---- the messages of a dataset -------------------------------------------------------- */

static int read_dataspace(struct hdf5_file *file, const struct message *m,
                          struct hdf5_object *object)
{
    const unsigned version = m->count >= 4 ? m->data[0] : 0;
    const size_t head = version == 1 ? 8 : 4;

    if (version != 1 && version != 2)
        return hdf5_refuse(file, "a dataspace has an unknown version");
    if (version == 2 && m->data[3] > 1)
        return hdf5_refuse(file, "a dataset is empty (a null dataspace)");
    if (m->data[1] > TRIT_RANK_MAX)
        return hdf5_refuse(file, "a dataset has more than 8 axes");
    object->rank = m->data[1];
    if (m->count < head + 8 * (size_t)object->rank)
        return hdf5_refuse(file, "a dataspace is cut off");
    for (uint32_t i = 0; i < object->rank; i++)
        object->shape[i] = hdf5_number(m->data + head + 8 * i, 8);
    object->has_space = true;
    return 0;
}

static const char *fixed_name(uint32_t size, bool is_signed)
{
    switch (size) {
    case 1:
        return is_signed ? "I8" : "U8";
    case 2:
        return is_signed ? "I16" : "U16";
    case 4:
        return is_signed ? "I32" : "U32";
    case 8:
        return is_signed ? "I64" : "U64";
    default:
        return NULL;
    }
}

/* Offset, precision, place and size of exponent and mantissa, bias: IEEE's, and bf16's. */
static const char *float_name(const uint8_t *properties, uint32_t size)
{
    static const struct {
        const char *name;
        uint32_t size;
        uint8_t properties[12];
    } known[] = {
        {"F16", 2, {0, 0, 16, 0, 10, 5, 0, 10, 15}},
        {"BF16", 2, {0, 0, 16, 0, 7, 8, 0, 7, 127}},
        {"F32", 4, {0, 0, 32, 0, 23, 8, 0, 23, 127}},
        {"F64", 8, {0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3}},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].size == size &&
            memcmp(known[i].properties, properties, sizeof(known[i].properties)) == 0)
            return known[i].name;
    return NULL;
}

static int read_datatype(struct hdf5_file *file, const struct message *m,
                         struct hdf5_object *object)
{
    const uint8_t *data = m->data;
    const char *name = NULL;

    if (m->count < 8)
        return hdf5_refuse(file, "a datatype is cut off");
    const uint32_t size = (uint32_t)hdf5_number(data + 4, 4);
    const bool big_endian = data[1] & 0x41;
    switch (data[0] & 0xf) {
    case CLASS_FIXED:
        if (m->count >= 12 && data[8] == 0 && data[9] == 0 &&
            hdf5_number(data + 10, 2) == 8 * (uint64_t)size)
            name = big_endian && size > 1 ? NULL : fixed_name(size, data[1] & 8);
        break;
    case CLASS_FLOAT:
        if (m->count >= 20 && !big_endian)
            name = float_name(data + 8, size);
        break;
    case CLASS_ENUM: /* h5py's bool */
        name = size == 1 ? "BOOL" : NULL;
        break;
    case CLASS_OPAQUE: /* bf16, if an attribute says so */
        object->opaque_bytes = size;
        object->has_type = true;
        return 0;
    default:
        break;
    }
    if (!name)
        return hdf5_refuse(file,
                           "a dataset has a type that is not read (integers, floats "
                           "and bool in little-endian order are)");
    object->type = element_type_by_name(name);
    object->has_type = true;
    return 0;
}

static int read_layout(struct hdf5_file *file, const struct message *m,
                       struct hdf5_object *object)
{
    enum { COMPACT, CONTIGUOUS };

    if (m->count < 2 || (m->data[0] != 3 && m->data[0] != 4))
        return hdf5_refuse(file, "a data layout has an unknown version");
    if (m->data[1] == COMPACT && m->count >= 4) {
        object->size = hdf5_number(m->data + 2, 2);
        object->address = m->at + 4;
        if (object->size > m->size - 4)
            return hdf5_refuse(file, "a compact dataset is cut off");
    } else if (m->data[1] == CONTIGUOUS && m->count >= 18) {
        object->address = hdf5_number(m->data + 2, 8);
        object->size = hdf5_number(m->data + 10, 8);
    } else {
        return hdf5_refuse(file, "a dataset is in chunks; only datasets in one run of "
                                 "bytes are read, as Keras writes them");
    }
    object->has_layout = true;
    return 0;
}

/* ---- attributes ------------------------------------------------------------------------ */

/* Text of variable length lies in a collection, as object `index`. */
static int read_collected(struct hdf5_file *file, const uint8_t *reference,
                          char text[HDF5_TEXT_BYTES])
{
    enum { HEAD = 16 };
    const uint64_t length = hdf5_number(reference, 4);
    const uint64_t at = hdf5_number(reference + 4, 8);
    const uint64_t index = hdf5_number(reference + 12, 4);
    uint8_t head[HEAD];
    uint64_t size, place = HEAD;

    if (length >= HDF5_TEXT_BYTES)
        return 0;
    if (hdf5_take(file, at, head, HEAD) < 0)
        return -1;
    size = hdf5_number(head + 8, 8);
    if (memcmp(head, "GCOL\1", 5) != 0 || size > file->bytes - at)
        return hdf5_refuse(file, "a global heap is malformed");
    while (size >= HEAD && place <= size - HEAD) {
        if (hdf5_take(file, at + place, head, HEAD) < 0)
            return -1;
        const uint64_t bytes = hdf5_number(head + 8, 8), left = size - place - HEAD;

        if (hdf5_number(head, 2) == index && length <= bytes && bytes <= left) {
            text[length] = '\0';
            return hdf5_take(file, at + place + HEAD, text, length);
        }
        if (hdf5_number(head, 2) == 0 || bytes > left)
            break;
        place += HEAD + (bytes + 7) / 8 * 8;
    }
    return hdf5_refuse(file, "a text is not in its global heap");
}

/* Keeps the texts that say a layer's name and that a dataset is bf16. Others are skipped. */
static int read_attribute(struct hdf5_file *file, const struct message *m,
                          struct hdf5_object *object)
{
    const unsigned version = m->count >= 8 ? m->data[0] : 0;
    const size_t pad = version == 1 ? 8 : 1;
    size_t at = version == 3 ? 9 : 8;
    char *text;

    if (version < 1 || version > 3)
        return hdf5_refuse(file, "an attribute has an unknown version");
    const size_t name = hdf5_number(m->data + 2, 2), type = hdf5_number(m->data + 4, 2);
    const size_t space = hdf5_number(m->data + 6, 2);
    const size_t type_at = at + (name + pad - 1) / pad * pad;
    const size_t data_at =
        type_at + (type + pad - 1) / pad * pad + (space + pad - 1) / pad * pad;
    if (name == 0 || type < 8 || data_at >= m->count || m->data[at + name - 1] != '\0')
        return 0;
    if (strcmp((const char *)m->data + at, "name") == 0)
        text = object->name;
    else if (strcmp((const char *)m->data + at, "dtype") == 0)
        text = object->dtype;
    else
        return 0;
    const size_t size = hdf5_number(m->data + type_at + 4, 4), left = m->count - data_at;
    const unsigned class = m->data[type_at] & 0xf;
    if (class == CLASS_VARIABLE && size == 16 && left >= size)
        return read_collected(file, m->data + data_at, text);
    if (class == CLASS_STRING && size < HDF5_TEXT_BYTES && left >= size) {
        memcpy(text, m->data + data_at, size);
        text[size] = '\0';
    }
    return 0;
}

/* ---- the header ------------------------------------------------------------------------- */

struct blocks {
    uint64_t at[BLOCKS_MAX], size[BLOCKS_MAX];
    size_t count;
};

static int add_block(struct hdf5_file *file, const struct message *m,
                     struct blocks *blocks)
{
    if (m->count < 16 || blocks->count == BLOCKS_MAX)
        return hdf5_refuse(file, "an object header has too many blocks");
    blocks->at[blocks->count] = hdf5_number(m->data, 8);
    blocks->size[blocks->count++] = hdf5_number(m->data + 8, 8);
    return 0;
}

static int read_message(struct hdf5_file *file, const struct message *m,
                        struct hdf5_object *object, struct blocks *blocks)
{
    switch (m->type) {
    case MESSAGE_DATASPACE:
        return read_dataspace(file, m, object);
    case MESSAGE_DATATYPE:
        return read_datatype(file, m, object);
    case MESSAGE_LAYOUT:
        return read_layout(file, m, object);
    case MESSAGE_ATTRIBUTE:
        return read_attribute(file, m, object);
    case MESSAGE_CONTINUATION:
        return add_block(file, m, blocks);
    case MESSAGE_SYMBOLS:
        if (m->count < 16)
            return hdf5_refuse(file, "a symbol table is cut off");
        object->is_group = true;
        object->tree = hdf5_number(m->data, 8);
        object->heap = hdf5_number(m->data + 8, 8);
        return 0;
    case MESSAGE_LINK_INFO:
    case MESSAGE_LINK:
        return hdf5_refuse(file, "a group has the form of newer versions; Keras writes "
                                 "symbol tables");
    case MESSAGE_EXTERNAL:
        return hdf5_refuse(file, "the bytes of a dataset are in another file");
    case MESSAGE_FILTERS:
        return hdf5_refuse(file, "a dataset is compressed");
    default:
        return 0;
    }
}

static int read_block(struct hdf5_file *file, uint64_t at, uint64_t size,
                      struct hdf5_object *object, struct blocks *blocks)
{
    struct message m;

    while (size >= MESSAGE_HEAD_BYTES) {
        uint8_t head[MESSAGE_HEAD_BYTES];

        if (hdf5_take(file, at, head, sizeof(head)) < 0)
            return -1;
        m.type = (unsigned)hdf5_number(head, 2);
        m.size = hdf5_number(head + 2, 2);
        at += sizeof(head);
        size -= sizeof(head);
        m.at = at;
        if (m.size > size)
            return hdf5_refuse(file, "a message is longer than its object header");
        m.count = m.size < MESSAGE_BYTES_MAX ? (size_t)m.size : MESSAGE_BYTES_MAX;
        if (hdf5_take(file, at, m.data, m.count) < 0)
            return -1;
        if ((head[4] & FLAG_SHARED) &&
            (m.type == MESSAGE_DATASPACE || m.type == MESSAGE_DATATYPE))
            return hdf5_refuse(file, "a dataset has a type of another object");
        if (read_message(file, &m, object, blocks) < 0)
            return -1;
        at += m.size;
        size -= m.size;
    }
    return 0;
}

int hdf5_read_object(struct hdf5_file *file, uint64_t at, struct hdf5_object *object)
{
    uint8_t prefix[PREFIX_BYTES];
    struct blocks blocks = {.count = 1};

    *object = (struct hdf5_object){.is_group = false};
    if (hdf5_take(file, at, prefix, sizeof(prefix)) < 0)
        return -1;
    if (prefix[0] != 1)
        return hdf5_refuse(file, memcmp(prefix, "OHDR", 4) == 0
                                     ? "an object header has the form of newer versions; "
                                       "Keras writes version 1"
                                     : "an object header is malformed");
    if (add_overflows(at, PREFIX_BYTES, &blocks.at[0]))
        return hdf5_refuse(file, "an address is beyond the end of the file");
    blocks.size[0] = hdf5_number(prefix + 8, 4);
    for (size_t i = 0; i < blocks.count; i++)
        if (read_block(file, blocks.at[i], blocks.size[i], object, &blocks) < 0)
            return -1;
    if (object->has_type && !object->type && object->opaque_bytes == 2 &&
        strcmp(object->dtype, "bfloat16") == 0)
        object->type = element_type_by_name("BF16");
    return 0;
}
