/* SPDX-License-Identifier: Apache-2.0 */
#include "client/lib/call_engine.h"

#include "client/lib/matrix_call.h"

static struct trit_tensor tensor_of(const struct engine_matrix *from, uint64_t rows,
                                    uint64_t columns)
{
    const struct matrices shape = {.count = 1, .rows = rows, .columns = columns};

    return matrix_tensor(from->matrix, from->dtype, &shape);
}

static struct trit_layer_ref layer_ref(const struct call_engine *engine, const char *name)
{
    struct trit_layer_ref layer = engine->layer;

    layer.layer = name;
    return layer;
}

static struct trit_call_options call_of(const struct call_engine *engine,
                                        struct progress_piece *progress)
{
    return (struct trit_call_options){.size = sizeof(struct trit_call_options),
                                      .timeout_ms = engine->timeout_ms,
                                      .progress = progress_update,
                                      .progress_arg = progress};
}

/* ---- project ------------------------------------------------------------------------ */

/* A matrix that is loaded is one message, and its result comes in one piece. */
static int take_result(trit_write write, void *write_arg,
                       struct trit_projection *projection,
                       struct engine_projected *result)
{
    if (projection->data &&
        write(write_arg, 0, projection->data, projection->data_bytes) < 0)
        return -1;
    result->data_bytes = projection->data_bytes;
    result->scales = projection->scales;
    result->scale_bytes = projection->scale_bytes;
    projection->scales = NULL;
    return 0;
}

static int project(void *arg, const struct engine_project *what,
                   struct progress_piece *progress, struct engine_projected *result,
                   struct failure *failure)
{
    const struct call_engine *engine = arg;
    const bool streamed = !what->latents.matrix->data;
    const struct trit_tensor tensor =
        tensor_of(&what->latents, what->rows, what->columns);
    const struct trit_layer_ref layer = layer_ref(engine, what->name);
    const struct trit_call_options call = call_of(engine, progress);
    const struct trit_project_options how = {.size = sizeof(how),
                                             .group_size = what->terms.group_size,
                                             .partial_group = what->terms.partial_group,
                                             .encoding = what->terms.encoding,
                                             .allow_lost_scales = true,
                                             .layer = &layer,
                                             .call = &call,
                                             .write = streamed ? what->write : NULL,
                                             .write_arg = what->write_arg,
                                             .durability = engine->durability};
    struct trit_projection projection = {.size = sizeof(projection),
                                         .report = &result->report};
    struct trit_error error = TRIT_ERROR_INIT;
    int ended;

    result->report = (struct trit_report)TRIT_REPORT_INIT;
    ended =
        engine->ended(trit_project(engine->client, &tensor, &how, &projection, &error),
                      &error, failure);
    if (ended == 0)
        ended = take_result(what->write, what->write_arg, &projection, result);
    trit_projection_free(&projection);
    return ended;
}

/* ---- verify ------------------------------------------------------------------------- */

static int verify(void *arg, const struct engine_verify *what,
                  struct progress_piece *progress, struct trit_report *report,
                  struct failure *failure)
{
    const struct call_engine *engine = arg;
    const struct trit_tensor tensor = tensor_of(&what->claim, what->rows, what->columns);
    struct trit_tensor reference;
    const struct trit_layer_ref layer = layer_ref(engine, what->name);
    const struct trit_call_options call = call_of(engine, progress);
    struct trit_verify_options how = {.size = sizeof(how),
                                      .mode = what->mode,
                                      .group_size = what->terms.group_size,
                                      .partial_group = what->terms.partial_group,
                                      .tolerance = what->tolerance,
                                      .has_tolerance = what->has_tolerance,
                                      .encoding = what->terms.encoding,
                                      .scales = what->scales,
                                      .scale_bytes = what->scale_bytes,
                                      .scales_dtype = what->scales_dtype,
                                      .layer = &layer,
                                      .call = &call,
                                      .durability = engine->durability};
    struct trit_error error = TRIT_ERROR_INIT;

    if (what->latents) {
        reference = tensor_of(what->latents, what->rows, what->columns);
        how.reference = &reference;
    }
    *report = (struct trit_report)TRIT_REPORT_INIT;
    return engine->ended(trit_verify(engine->client, &tensor, &how, report, &error),
                         &error, failure);
}

/* ---- pack ----------------------------------------------------------------------------- */

static int pack(const struct call_engine *engine, const struct engine_pack *what,
                const struct trit_call_options *call, struct engine_projected *result,
                struct failure *failure)
{
    const struct trit_tensor tensor = tensor_of(&what->source, what->rows, what->columns);
    const struct trit_pack_options how = {
        .size = sizeof(how),
        .source_encoding = what->from,
        .scales = what->scales,
        .scale_bytes = what->scale_bytes,
        .scales_dtype = what->scales_dtype,
        .group_size = what->group_size,
        .encoding = what->to,
        .allow_rounded_scales = what->allow_rounded,
        .call = call,
        .write = what->source.matrix->data ? NULL : what->write,
        .write_arg = what->write_arg};
    struct trit_projection packed = {.size = sizeof(packed), .report = &result->report};
    struct trit_error error = TRIT_ERROR_INIT;
    int ended;

    result->report = (struct trit_report)TRIT_REPORT_INIT;
    ended = engine->ended(trit_pack(engine->client, &tensor, &how, &packed, &error),
                          &error, failure);
    if (ended == 0)
        ended = take_result(what->write, what->write_arg, &packed, result);
    trit_projection_free(&packed);
    return ended;
}

static int unpack(const struct call_engine *engine, const struct engine_pack *what,
                  const struct trit_call_options *call, struct failure *failure)
{
    const struct trit_tensor tensor = tensor_of(&what->source, what->rows, what->columns);
    const struct trit_unpack_options how = {.size = sizeof(how),
                                            .encoding = what->from,
                                            .group_size = what->group_size,
                                            .dtype = what->dtype,
                                            .scales = what->scales,
                                            .scale_bytes = what->scale_bytes,
                                            .scales_dtype = what->scales_dtype,
                                            .call = call};
    struct trit_error error = TRIT_ERROR_INIT;
    void *data = NULL;
    uint64_t bytes = 0;
    int ended =
        engine->ended(trit_unpack(engine->client, &tensor, &how, &data, &bytes, &error),
                      &error, failure);

    if (ended == 0)
        ended = what->write(what->write_arg, 0, data, bytes);
    trit_free(data);
    return ended;
}

static int pack_or_unpack(void *arg, const struct engine_pack *what,
                          struct progress_piece *progress,
                          struct engine_projected *result, struct failure *failure)
{
    const struct call_engine *engine = arg;
    const struct trit_call_options call = call_of(engine, progress);

    return what->to == TRIT_ENCODING_DENSE ? unpack(engine, what, &call, failure)
                                           : pack(engine, what, &call, result, failure);
}

/* ---- the engine --------------------------------------------------------------------- */

void call_engine_init(struct call_engine *engine, struct trit_client *client,
                      const struct trit_layer_ref *layer,
                      int (*ended)(enum trit_status status,
                                   const struct trit_error *error,
                                   struct failure *failure))
{
    *engine = (struct call_engine){.engine = {.arg = engine,
                                              .project = project,
                                              .verify = verify,
                                              .pack = pack_or_unpack},
                                   .client = client,
                                   .layer = *layer,
                                   .ended = ended};
}
