/* SPDX-License-Identifier: Apache-2.0 */
/* Any config.json, tokenizer.json, tokenizer_config.json or tokenizer.model is read; what is
 * written is a run of keys that GGUF's reader reads again. The first byte says which file the
 * rest is. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/gguf_model.h"
#include "checkpoint/gguf_tokenizer.h"
#include "files/gguf_keys.h"
#include "files/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file of these keys and no tensor must be accepted. */
static void read_back(const struct gguf_keys *keys)
{
    struct gguf_keys file = {.bytes = NULL};
    struct source *source = NULL;
    struct reader *reader = NULL;

    assert(!keys->lost);
    gguf_put(&file, "GGUF", 4);
    gguf_put_number(&file, 3, 4);
    gguf_put_number(&file, 0, 8);
    gguf_put_number(&file, keys->count, 8);
    gguf_put(&file, keys->bytes, keys->size);
    assert(source_memory(&source, file.bytes, file.size, "fuzz", NULL) == 0);
    assert(reader_open_source(&reader, source, NULL, NULL) == 0);
    assert(reader_table(reader)->pair_count == keys->count);
    reader_close(reader);
    gguf_keys_fini(&file);
}

static void check_model(const char *text, size_t bytes)
{
    struct gguf_keys keys = {.bytes = NULL};
    float factors[GGUF_HEAD_ROWS_MAX];
    struct gguf_model model;

    if (gguf_model_read(&model, text, bytes, NULL) < 0)
        return;
    assert(memchr(model.remark, 0, sizeof(model.remark)));
    assert(model.architecture || model.remark[0]);
    if (!model.architecture)
        return;
    if (model.rope == GGUF_ROPE_LLAMA3)
        gguf_model_factors(&model, factors);
    gguf_model_put(&model, "fuzz", &keys);
    read_back(&keys);
    gguf_keys_fini(&keys);
}

static void check_tokenizer(char kind, char *text, size_t bytes)
{
    static char tokenizer[] = "{\"pre_tokenizer\": {\"type\": \"ByteLevel\"}, \"model\": "
                              "{\"vocab\": {\"a\": 0, \"b\": 1}, \"merges\": []}}";
    const struct tokenizer_text given = {text, bytes};
    struct tokenizer_files files = {.tokenizer = {tokenizer, strlen(tokenizer)}};
    struct gguf_keys keys = {.bytes = NULL};
    char remark[TOKENIZER_REMARK_BYTES];

    if (kind == 't')
        files.tokenizer = given;
    else if (kind == 'c')
        files.config = given;
    else
        files = (struct tokenizer_files){.model = given};
    assert(gguf_tokenizer_put(&files, 300, &keys, remark, NULL) == 0);
    assert(memchr(remark, 0, sizeof(remark)));
    read_back(&keys);
    gguf_keys_fini(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    assert(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (size > 0 && text[0] == 'm')
        check_model(text + 1, size - 1);
    else if (size > 0)
        check_tokenizer(text[0], text + 1, size - 1);
    free(text);
    return 0;
}
