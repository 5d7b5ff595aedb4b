/* SPDX-License-Identifier: Apache-2.0 */
/* Tokenizers of transformers as keys of GGUF. */
#include "checkpoint/gguf_tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "files/gguf_keys.h"
#include "tests/lib/check.h"
#include "tests/lib/fault.h"

#define BYTES "\"pre_tokenizer\": {\"type\": \"ByteLevel\"}"

struct made {
    struct gguf_keys keys;
    char remark[TOKENIZER_REMARK_BYTES];
};

static struct tokenizer_text text_of(const char *text)
{
    return (struct tokenizer_text){(char *)(uintptr_t)text, text ? strlen(text) : 0};
}

static void make(struct made *made, const char *tokenizer, const char *config,
                 const char *model, size_t model_bytes)
{
    const struct tokenizer_files files = {
        .tokenizer = text_of(tokenizer),
        .config = text_of(config),
        .model = {(char *)(uintptr_t)model, model_bytes},
        .root = text_of("{\"eos_token_id\": [2, 3]}")};

    *made = (struct made){.keys = {.bytes = NULL}};
    CHECK(gguf_tokenizer_put(&files, 4, &made->keys, made->remark, NULL) == 0);
}

static bool holds(const struct made *made, const char *text)
{
    return made->keys.size > 0 &&
           memmem(made->keys.bytes, made->keys.size, text, strlen(text)) != NULL;
}

/* Written without a tokenizer, for this reason. */
static void refused(const char *tokenizer, const char *why)
{
    struct made made;

    make(&made, tokenizer, NULL, NULL, 0);
    CHECK_EQ(made.keys.count, 1);
    CHECK(holds(&made, "no_vocab"));
    if (!strstr(made.remark, why))
        check_failed(__FILE__, __LINE__, "%s: %s", tokenizer, made.remark);
    gguf_keys_fini(&made.keys);
}

CASE(writes_byte_level,
     "byte-level BPE is llama.cpp's gpt2, padded to the embeddings' rows")
{
    struct made made;

    make(&made,
         "{" BYTES ", \"added_tokens\": [{\"id\": 2, \"content\": \"<s>\", \"special\": "
         "true}], \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1}, "
         "\"merges\": [[\"a\", \"b\"]]}, \"post_processor\": {\"type\": "
         "\"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\"}}, "
         "{\"Sequence\": {\"id\": \"A\"}}]}}",
         "{\"bos_token\": {\"content\": \"<s>\"}, \"chat_template\": \"{{x}}\"}", NULL,
         0);
    CHECK_STR(made.remark, "");
    CHECK(holds(&made, "gpt-2") && holds(&made, "[PAD3]") && holds(&made, "a b"));
    CHECK(holds(&made, "add_bos_token") && holds(&made, "bos_token_id"));
    CHECK(holds(&made, "eos_token_id") && holds(&made, "{{x}}"));
    CHECK(!holds(&made, "add_eos_token") && !holds(&made, "scores"));
    gguf_keys_fini(&made.keys);
}

CASE(writes_byte_fallback, "BPE with byte fallback is llama.cpp's llama, with scores")
{
    struct made made;

    make(&made,
         "{\"model\": {\"type\": \"BPE\", \"byte_fallback\": true, \"unk_token\": "
         "\"<unk>\", \"vocab\": {\"<unk>\": 0, \"<0x41>\": 1, \"a\": 2, \"aa\": 3}, "
         "\"merges\": [\"a a\"]}}",
         "{\"add_bos_token\": true}", NULL, 0);
    CHECK_STR(made.remark, "");
    CHECK(holds(&made, "scores") && holds(&made, "add_bos_token"));
    CHECK(!holds(&made, "merges"));
    gguf_keys_fini(&made.keys);
}

CASE(reads_sentencepiece, "the pieces of tokenizer.model keep their scores and types")
{
    /* Two pieces, "<s>" of type 3 and "a" with a score of 1, and BPE as the kind. */
    static const char model[] = "\x0a\x07\x0a\x03<s>\x18\x03"
                                "\x0a\x08\x0a\x01"
                                "a\x15\x00\x00\x80\x3f"
                                "\x12\x02\x18\x02";
    struct made made;

    make(&made, NULL, NULL, model, sizeof(model) - 1);
    CHECK_STR(made.remark, "");
    CHECK(holds(&made, "scores") && holds(&made, "[PAD2]") && holds(&made, "<s>"));
    gguf_keys_fini(&made.keys);
    make(&made, NULL, NULL, model, sizeof(model) - 5);
    CHECK(strstr(made.remark, "is not BPE"));
    gguf_keys_fini(&made.keys);
    for (size_t cut = 0; cut < sizeof(model) - 5; cut++) {
        make(&made, NULL, NULL, model, cut);
        CHECK(strstr(made.remark, "tokenizer.model"));
        gguf_keys_fini(&made.keys);
    }
}

CASE(says_why_not, "what llama.cpp cannot take is written without a tokenizer, and said")
{
    refused(NULL, "tokenizer.json: it is missing");
    refused("{", "line 1");
    refused("{\"model\": {\"type\": \"WordPiece\", \"vocab\": {}}}", "is not BPE");
    refused("{\"model\": {\"type\": \"BPE\", \"vocab\": {}}}", "falls back");
    refused("{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true}, "
            "\"model\": {\"vocab\": {}}}",
            "pre_tokenizer");
    refused("{" BYTES
            ", \"normalizer\": {\"type\": \"Lowercase\"}, \"model\": {\"vocab\": "
            "{}}}",
            "normalizer");
    refused("{" BYTES ", \"model\": {\"vocab\": {\"a\": 4}}}", "token 4 is beyond");
    refused("{" BYTES ", \"model\": {\"vocab\": {\"a\": -1}}}", "not a number");
    refused("{" BYTES ", \"model\": {\"vocab\": {\"\": 1}}}", "token 1 is empty");
    refused("{" BYTES ", \"model\": {\"vocab\": {\"a\": 1, \"[PAD0]\": 2}}}",
            "have one text, [PAD0]");
    refused("{" BYTES ", \"model\": {\"vocab\": {\"a\": 1}, \"merges\": [1]}}",
            "a merge is not a pair");
}

CASE(survives_lack_of_memory, "whichever allocation fails, nothing is left behind")
{
    const struct tokenizer_files files = {
        .tokenizer = text_of("{" BYTES ", \"added_tokens\": [{\"id\": 2, \"content\": "
                             "\"<s>\"}], \"model\": {\"vocab\": {\"a\": 0, \"b\": 1}, "
                             "\"merges\": [[\"a\", \"b\"]]}}")};

    for (uint64_t n = 1;; n++) {
        struct made made = {.keys = {.bytes = NULL}};

        fault_arm(FAULT_MEMORY, n, FAULT_ONCE);
        gguf_tokenizer_put(&files, 4, &made.keys, made.remark, NULL);
        const bool hit = fault_disarm();
        const bool whole = holds(&made, "tokenizer.ggml.merges");
        gguf_keys_fini(&made.keys);
        if (!hit) {
            CHECK(whole);
            break;
        }
    }
}
