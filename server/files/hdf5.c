/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over groups: superblock, then for each group a heap with names and a tree of
 * nodes with symbols, each the name and address of an object. Layouts are those of the HDF5
 * File Format Specification 3.0, sections II and III. */
#include "files/hdf5.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"

enum {
    SUPERBLOCK_BYTES = 96,
    SYMBOL_BYTES = 40,
    SYMBOL_IS_LINK = 2,
};

struct walk {
    struct hdf5_file *file;
    hdf5_visit_fn visit;
    void *arg;
    char path[FILES_NAME_BYTES_MAX + 1];
    unsigned depth;
};

struct group {
    uint64_t names, names_bytes; /* in the file */
    const char *name;            /* the attribute */
    size_t path_bytes;           /* of the group, with the slash behind it */
};

static int walk_object(struct walk *walk, uint64_t at, const struct group *parent,
                       size_t path_bytes);

/* ---- datasets ------------------------------------------------------------------------- */

static int walk_dataset(struct walk *walk, const struct hdf5_object *object,
                        const struct group *parent)
{
    struct hdf5_file *file = walk->file;
    struct hdf5_dataset dataset = {.path = walk->path,
                                   .group = parent->name,
                                   .type = object->type,
                                   .rank = object->rank,
                                   .offset = file->start + object->address};
    uint64_t bytes;

    if (!object->has_space || !object->has_type || !object->has_layout)
        return hdf5_refuse(file, "an object is neither a group nor a dataset");
    if (!object->type)
        return hdf5_refuse(file, "a dataset has an opaque type that is not bf16");
    if (!shape_elements(object->rank, object->shape, &bytes) ||
        mul_overflows(bytes, object->type->bits / 8, &bytes) || bytes != object->size)
        return hdf5_refuse(file, "the size of a dataset is not that of its shape");
    if (bytes == 0)
        dataset.offset = file->start;
    else if (object->address > file->bytes || bytes > file->bytes - object->address)
        return hdf5_refuse(file, "a dataset ends beyond the end of the file");
    memcpy(dataset.shape, object->shape, sizeof(dataset.shape));
    return walk->visit(walk->arg, &dataset, file->failure);
}

/* ---- groups ---------------------------------------------------------------------------- */

/* Puts the name of a symbol behind the path of its group. Returns the path's length; 0: it
 * fails. */
static size_t take_name(struct walk *walk, const struct group *group, uint64_t place)
{
    const size_t room = sizeof(walk->path) - group->path_bytes;
    char *name = walk->path + group->path_bytes;

    if (place >= group->names_bytes) {
        hdf5_refuse(walk->file, "a name is not in the heap of its group");
        return 0;
    }
    const uint64_t left = group->names_bytes - place;
    const size_t count = left < room ? (size_t)left : room;
    if (hdf5_take(walk->file, group->names + place, name, count) < 0)
        return 0;
    const size_t length = strnlen(name, count);
    if (length == count || length == 0) {
        hdf5_refuse(walk->file, "a name is empty, or too long");
        return 0;
    }
    return group->path_bytes + length;
}

static int walk_symbols(struct walk *walk, uint64_t at, const struct group *group)
{
    uint8_t head[8], symbol[SYMBOL_BYTES];

    if (hdf5_take(walk->file, at, head, sizeof(head)) < 0)
        return -1;
    if (memcmp(head, "SNOD\1", 5) != 0)
        return hdf5_refuse(walk->file, "a node of symbols is malformed");
    for (uint64_t i = 0; i < hdf5_number(head + 6, 2); i++) {
        if (hdf5_take(walk->file, at + sizeof(head) + i * SYMBOL_BYTES, symbol,
                      SYMBOL_BYTES) < 0)
            return -1;
        if (hdf5_number(symbol + 16, 4) == SYMBOL_IS_LINK)
            return hdf5_refuse(walk->file, "it has a symbolic link");
        const size_t bytes = take_name(walk, group, hdf5_number(symbol, 8));
        if (!bytes || walk_object(walk, hdf5_number(symbol + 8, 8), group, bytes) < 0)
            return -1;
    }
    return 0;
}

/* A node of the tree has keys and children in turn; the levels of children are lower. */
static int walk_tree(struct walk *walk, uint64_t at, unsigned above,
                     const struct group *group)
{
    enum { HEAD = 24, KEY = 8, PAIR = 16 };
    uint8_t head[HEAD], child[8];

    if (hdf5_take(walk->file, at, head, HEAD) < 0)
        return -1;
    const unsigned level = head[5];
    if (memcmp(head, "TREE\0", 5) != 0 || level >= above)
        return hdf5_refuse(walk->file, "the tree of a group is malformed");
    for (uint64_t i = 0; i < hdf5_number(head + 6, 2); i++) {
        if (hdf5_take(walk->file, at + HEAD + KEY + i * PAIR, child, sizeof(child)) < 0)
            return -1;
        const uint64_t next = hdf5_number(child, 8);
        if ((level ? walk_tree(walk, next, level, group)
                   : walk_symbols(walk, next, group)) < 0)
            return -1;
    }
    return 0;
}

static int walk_group(struct walk *walk, const struct hdf5_object *object,
                      size_t path_bytes)
{
    uint8_t heap[32];
    struct group group = {.name = object->name, .path_bytes = path_bytes};

    if (path_bytes > 0) {
        if (path_bytes + 1 >= sizeof(walk->path))
            return hdf5_refuse(walk->file, "a name is empty, or too long");
        walk->path[group.path_bytes++] = '/';
    }
    if (walk->depth == HDF5_DEPTH_MAX)
        return hdf5_refuse(walk->file, "groups are nested too deeply");
    if (hdf5_take(walk->file, object->heap, heap, sizeof(heap)) < 0)
        return -1;
    group.names_bytes = hdf5_number(heap + 8, 8);
    group.names = hdf5_number(heap + 24, 8);
    if (memcmp(heap, "HEAP\0", 5) != 0 || group.names > walk->file->bytes ||
        group.names_bytes > walk->file->bytes - group.names)
        return hdf5_refuse(walk->file, "the heap of a group is malformed");
    walk->depth++;
    const int result = walk_tree(walk, object->tree, HDF5_DEPTH_MAX, &group);
    walk->depth--;
    return result;
}

/* `path_bytes`: of the object's path, which is in walk->path. */
static int walk_object(struct walk *walk, uint64_t at, const struct group *parent,
                       size_t path_bytes)
{
    struct hdf5_object object;

    if (hdf5_read_object(walk->file, at, &object) < 0)
        return fail_context(walk->file->failure, "%.*s", (int)path_bytes, walk->path);
    if (object.is_group)
        return walk_group(walk, &object, path_bytes);
    walk->path[path_bytes] = '\0';
    if (walk_dataset(walk, &object, parent) < 0)
        return fail_context(walk->file->failure, "%s", walk->path);
    return 0;
}

int hdf5_visit(struct hdf5_file *file, hdf5_visit_fn visit, void *arg)
{
    struct walk walk = {.file = file, .visit = visit, .arg = arg};
    const struct group none = {.name = ""};
    uint8_t head[SUPERBLOCK_BYTES];

    if (hdf5_take(file, 0, head, sizeof(head)) < 0)
        return -1;
    if (memcmp(head, "\x89HDF\r\n\x1a\n", 8) != 0)
        return hdf5_refuse(file, "it does not begin with HDF5's signature");
    if (head[8] != 0)
        return hdf5_refuse(file, "its superblock has the form of newer versions; Keras "
                                 "writes version 0");
    if (head[13] != 8 || head[14] != 8 || hdf5_number(head + 24, 8) != 0)
        return hdf5_refuse(file,
                           "its addresses do not have 8 bytes from the file's begin");
    if (hdf5_number(head + 40, 8) > file->bytes)
        return hdf5_refuse(file, "the file is shorter than its superblock says");
    return walk_object(&walk, hdf5_number(head + 64, 8), &none, 0);
}
