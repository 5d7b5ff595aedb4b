/* SPDX-License-Identifier: Apache-2.0 */
#include "drive/planned_gguf.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint/gguf_tokenizer.h"
#include "checkpoint/plan_llama.h"
#include "files/folder.h"
#include "files/gguf_keys.h"
#include "proto/utf8.h"

/* The small files that the tokenizer is in; NULL: the folder lacks it. */
static int read_files(struct tokenizer_files *files, const char *folder,
                      struct failure *failure)
{
    static const struct {
        size_t offset;
        const char *name;
    } parts[] = {
        {offsetof(struct tokenizer_files, tokenizer), "tokenizer.json"},
        {offsetof(struct tokenizer_files, config), "tokenizer_config.json"},
        {offsetof(struct tokenizer_files, model), "tokenizer.model"},
        {offsetof(struct tokenizer_files, chat_template), "chat_template.jinja"},
        {offsetof(struct tokenizer_files, root), "config.json"},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct tokenizer_text *text =
            (struct tokenizer_text *)(void *)((char *)files + parts[i].offset);

        if (folder_read_text(folder, parts[i].name, &text->text, &text->bytes, failure) <
            0)
            return -1;
    }
    return 0;
}

static void free_files(struct tokenizer_files *files)
{
    free(files->tokenizer.text);
    free(files->config.text);
    free(files->model.text);
    free(files->chat_template.text);
    free(files->root.text);
}

/* The last part of the folder's path, as general.name. */
static void take_name(char name[128], const char *folder)
{
    size_t end = strlen(folder);

    while (end > 0 && folder[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && folder[start - 1] != '/')
        start--;
    snprintf(name, 128, "%.*s", (int)(end - start), folder + start);
    /* A folder that is held open has a number for a name. */
    if (!name[0] || name[strspn(name, "0123456789")] == '\0' || !utf8_is_name(name) ||
        strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        snprintf(name, 128, "model");
}

static int put_keys(struct plan *plan, const struct gguf_model *model,
                    const struct tokenizer_files *files, const char *folder,
                    struct failure *failure)
{
    struct gguf_keys keys = {.bytes = NULL};
    char name[128], remark[GGUF_REMARK_BYTES];

    take_name(name, plan->folder ? plan->folder : folder);
    gguf_model_put(model, name, &keys);
    const int result =
        gguf_tokenizer_put(files, model->vocabulary, &keys, remark, failure);
    if (result == 0 && remark[0])
        plan_remark(plan, remark);
    if (result < 0 || keys.lost) {
        gguf_keys_fini(&keys);
        return result < 0 ? -1
                          : fail(failure, TRIT_RESOURCE_EXHAUSTED, NULL, "out of memory");
    }
    plan->table.values = keys.bytes;
    plan->table.values_bytes = keys.size;
    plan->table.values_count = keys.count;
    return 0;
}

static int prepare(struct plan *plan, const struct gguf_model *model, const char *folder,
                   struct failure *failure)
{
    struct tokenizer_files files = {.tokenizer = {NULL, 0}};
    int result = plan_store_for_llama(plan, model, failure);

    if (result == 0 && plan->architecture)
        result = read_files(&files, folder, failure);
    if (result == 0 && plan->architecture)
        result = put_keys(plan, model, &files, folder, failure);
    free_files(&files);
    return result;
}

int planned_for_llama(struct plan *plan, struct reader *source, struct failure *failure)
{
    const char *folder = reader_folder(source);
    struct failure why = {.status = TRIT_OK};
    struct gguf_model model;
    char *text = NULL;
    size_t bytes = 0;
    int found = folder ? folder_read_text(folder, "config.json", &text, &bytes, &why) : 0;

    if (found > 0 && gguf_model_read(&model, text, bytes, &why) < 0)
        found = -1;
    free(text);
    if (found < 0 && (why.status == TRIT_RESOURCE_EXHAUSTED || reader_is_folder(source)))
        return fail(failure, why.status, NULL, "config.json: %s", why.message);
    /* Next to a single file, config.json may belong to something else. */
    if (found <= 0) {
        plan_remark(plan, found ? "config.json is not read" : "there is no config.json");
        return 0;
    }
    return prepare(plan, &model, folder, failure);
}
