/* SPDX-License-Identifier: Apache-2.0 */
#include "client/cli/report_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/cli/interrupt.h"
#include "files/target.h"
#include "proto/utf8.h"
#include "json/json.h"

enum format { FORMAT_NONE, FORMAT_MARKDOWN, FORMAT_CSV, FORMAT_JSON };

static enum format format_of(const char *path)
{
    const char *dot = strrchr(path, '.');

    if (dot && strcmp(dot, ".md") == 0)
        return FORMAT_MARKDOWN;
    if (dot && strcmp(dot, ".csv") == 0)
        return FORMAT_CSV;
    return dot && strcmp(dot, ".json") == 0 ? FORMAT_JSON : FORMAT_NONE;
}

enum exit_code report_file_check(const char *command, const struct options *options)
{
    struct stat there;

    if (!options->report)
        return DONE;
    if (format_of(options->report) == FORMAT_NONE)
        return complain(USAGE, "%s: --report %s: its name must end in .md, .csv or .json",
                        command, options->report);
    if (lstat(options->report, &there) == 0 && !option_given(options, OPTION_FORCE))
        return complain(USAGE, "%s: --report %s: it exists already; --force replaces it",
                        command, options->report);
    return DONE;
}

/* ---- the texts --------------------------------------------------------------------- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* A number as in JSON, where a 64-bit one is a string; empty for null. */
static void write_number(FILE *out, const json_t *value)
{
    const char *digits = json_string_value(value);
    char *text = digits || json_is_null(value) ? NULL : json_print(value, 0, NULL);

    if (digits)
        fputs(digits, out);
    else if (text)
        fputs(text, out);
    free(text);
}

/* Text for a cell of a Markdown table: no control characters, line breaks or bars. */
static void write_cell(FILE *out, const char *text)
{
    char escaped[4096];

    utf8_show_text(escaped, sizeof(escaped), text);
    for (const char *at = escaped; *at; at++) {
        if (strchr("|\\`*_<>[]", *at))
            fputc('\\', out);
        fputc(*at, out);
    }
}

/* RFC 4180. A leading quote keeps a spreadsheet from reading a formula. */
static void write_field(FILE *out, const char *text)
{
    fputc('"', out);
    if (strchr("=+-@\t\r", text[0]) && text[0])
        fputc('\'', out);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* Numbers of a layer's report that are columns of both tables. */
static const char *const numbers[] = {
    "elements",   "negatives", "zeros", "positives", "zero_groups", "scale_min",
    "scale_mean", "scale_max", "mse",   "cosine",    "sqnr_db",
};

enum { NUMBERS = sizeof(numbers) / sizeof(numbers[0]) };

static void write_shape(FILE *out, const json_t *layer)
{
    const json_t *shape = json_object_get(layer, "shape");

    for (size_t i = 0; i < json_array_size(shape); i++) {
        fputs(i ? "x" : "", out);
        write_number(out, json_array_get(shape, i));
    }
}

static void write_markdown(FILE *out, const char *command, const json_t *result)
{
    const json_t *findings = json_object_get(result, "findings");
    const json_t *layers = json_object_get(result, "layers"), *one;
    size_t i;

    fprintf(out, "# %s\n\n", text_of(result, "verdict"));
    fprintf(out, "`trit %s` of ", command);
    write_cell(out, text_of(result, json_object_get(result, "file") ? "file" : "input"));
    fprintf(out, ", encoding %s, %zu layers.\n\n", text_of(result, "encoding"),
            json_array_size(layers));
    if (json_array_size(findings))
        fputs("| severity | finding | tensor | count | hint |\n|---|---|---|---|---|\n",
              out);
    json_array_foreach(findings, i, one)
    {
        fprintf(out, "| %s | %s | ", text_of(one, "severity"), text_of(one, "kind"));
        write_cell(out, text_of(one, json_object_get(one, "layer") ? "layer" : "tensor"));
        fputs(" | ", out);
        write_number(out, json_object_get(one, "count"));
        fputs(" | ", out);
        write_cell(out, text_of(one, "hint"));
        fputs(" |\n", out);
    }
    fputs(json_array_size(findings) ? "\n| layer | verdict | shape |"
                                    : "| layer | verdict | shape |",
          out);
    for (size_t k = 0; k < NUMBERS; k++)
        fprintf(out, " %s |", numbers[k]);
    fputs(" digest |\n|---|---|---|", out);
    for (size_t k = 0; k < NUMBERS; k++)
        fputs("---:|", out);
    fputs("---|\n", out);
    json_array_foreach(layers, i, one)
    {
        fputs("| ", out);
        write_cell(out, text_of(one, "layer"));
        fprintf(out, " | %s | ", text_of(one, "verdict"));
        write_shape(out, one);
        for (size_t k = 0; k < NUMBERS; k++) {
            fputs(" | ", out);
            write_number(out, json_object_get(one, numbers[k]));
        }
        fprintf(out, " | %s |\n", text_of(one, "digest"));
    }
}

static void write_csv(FILE *out, const json_t *result)
{
    const json_t *layers = json_object_get(result, "layers"), *one;
    size_t i;

    fputs("verdict,layer,layer_verdict,shape", out);
    for (size_t k = 0; k < NUMBERS; k++)
        fprintf(out, ",%s", numbers[k]);
    fputs(",digest\r\n", out);
    json_array_foreach(layers, i, one)
    {
        fprintf(out, "%s,", text_of(result, "verdict"));
        write_field(out, text_of(one, "layer"));
        fprintf(out, ",%s,", text_of(one, "verdict"));
        write_shape(out, one);
        for (size_t k = 0; k < NUMBERS; k++) {
            fputc(',', out);
            write_number(out, json_object_get(one, numbers[k]));
        }
        fprintf(out, ",%s\r\n", text_of(one, "digest"));
    }
}

/* ---- the file ---------------------------------------------------------------------- */

/* The whole text, malloc'ed; NULL on lack of memory. */
static char *format_text(const char *command, enum format format, const json_t *result,
                         size_t *bytes)
{
    char *text = NULL;
    FILE *out;

    if (format == FORMAT_JSON || format == FORMAT_NONE)
        return json_print(result, JSON_PRINT_INDENTED | JSON_PRINT_NEWLINE, bytes);
    out = open_memstream(&text, bytes);
    if (!out)
        return NULL;
    if (format == FORMAT_MARKDOWN)
        write_markdown(out, command, result);
    else
        write_csv(out, result);

    if (ferror(out) | fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

int text_file_write(const char *path, bool replace, const char *text, size_t bytes,
                    struct failure *failure)
{
    struct target *target = NULL;
    struct interrupt interrupt;
    int result;

    interrupt_hold(&interrupt);
    result = target_open(&target, path, replace ? TARGET_REPLACE : TARGET_NEW, failure);
    if (result == 0)
        result = target_write(target, 0, text, bytes, failure);
    if (result == 0)
        result = target_commit(target, failure);
    target_close(target);
    interrupt_release(&interrupt);
    return result;
}

enum exit_code report_file_write(const char *command, const struct options *options,
                                 const json_t *result)
{
    struct failure failure = {.status = TRIT_OK};
    size_t bytes = 0;
    char *text;
    int written;

    if (!options->report)
        return DONE;
    text =
        result ? format_text(command, format_of(options->report), result, &bytes) : NULL;
    if (!text)
        return complain(FAILED, "out of memory");
    written = text_file_write(options->report, option_given(options, OPTION_FORCE), text,
                              bytes, &failure);
    free(text);
    return written < 0 ? complain(FAILED, "%s: %s", options->report, failure.message)
                       : DONE;
}
