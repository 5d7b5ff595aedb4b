/* SPDX-License-Identifier: Apache-2.0 */
/* LayerRef, both ways. */
#include "wire.h"

#include <string.h>

int wire_layer_ref(const trit_v1_LayerRef *from, const struct layer_names *names,
                   struct wire_layer_ref *out, char error[CODEC_ERROR_BYTES])
{
    if (wire_text(names->run, from->run.bytes, from->run.size, TRIT_NAME_BYTES_MAX,
                  out->run, error) != 0 ||
        wire_text(names->layer, from->layer.bytes, from->layer.size, TRIT_NAME_BYTES_MAX,
                  out->layer, error) != 0)
        return -1;
    out->step = from->step;
    out->attempt = from->attempt;
    out->replica = from->replica;
    out->has_shard = from->has_shard;
    if (from->has_shard) {
        out->global_rank = from->shard.global_shape_count;
        out->offset_rank = from->shard.offset_count;
        memcpy(out->global_shape, from->shard.global_shape,
               from->shard.global_shape_count * sizeof(out->global_shape[0]));
        memcpy(out->offset, from->shard.offset,
               from->shard.offset_count * sizeof(out->offset[0]));
    }
    out->present = out->run[0] != '\0';
    return 0;
}

void wire_layer_ref_put(trit_v1_LayerRef *out, const struct wire_layer_ref *from)
{
    out->run.size = wire_text_put(out->run.bytes, sizeof(out->run.bytes), from->run);
    out->layer.size =
        wire_text_put(out->layer.bytes, sizeof(out->layer.bytes), from->layer);
    out->step = from->step;
    out->attempt = from->attempt;
    out->replica = from->replica;
    out->has_shard = from->has_shard;
    if (from->has_shard) {
        out->shard.global_shape_count = (pb_size_t)from->global_rank;
        out->shard.offset_count = (pb_size_t)from->offset_rank;
        memcpy(out->shard.global_shape, from->global_shape,
               from->global_rank * sizeof(from->global_shape[0]));
        memcpy(out->shard.offset, from->offset,
               from->offset_rank * sizeof(from->offset[0]));
    }
}
