/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tests/abi/abi.py freeze: the layout that programs of 0.2.0 have.
 * Never edit it. docs/abi.md says what to do where an assertion fails. */
/* clang-format off */
#define ABI_SIZES_0_2_0(X) \
    X(trit_error, 1104) \
    X(trit_checkpoint_options, 64) \
    X(trit_connect_options, 48) \
    X(trit_call_options, 32) \
    X(trit_layer_spec, 296) \
    X(trit_forward_options, 24) \
    X(trit_forward, 32) \
    X(trit_gradients, 32) \
    X(trit_layer_get_options, 32) \
    X(trit_layer, 64) \
    X(trit_layer_verify_options, 32) \
    X(trit_layer_ref, 32) \
    X(trit_report_query, 56) \
    X(trit_tensor, 96) \
    X(trit_array, 96) \
    X(trit_project_options, 64) \
    X(trit_projection, 64) \
    X(trit_verify_options, 80) \
    X(trit_unpack_options, 48) \
    X(trit_report, 6272)
_Static_assert(sizeof(struct trit_error) >= 1104, "struct trit_error");
_Static_assert(sizeof(struct trit_checkpoint_options) >= 64, "struct trit_checkpoint_options");
_Static_assert(sizeof(struct trit_connect_options) >= 48, "struct trit_connect_options");
_Static_assert(sizeof(struct trit_call_options) >= 32, "struct trit_call_options");
_Static_assert(sizeof(struct trit_layer_spec) >= 296, "struct trit_layer_spec");
_Static_assert(sizeof(struct trit_forward_options) >= 24, "struct trit_forward_options");
_Static_assert(sizeof(struct trit_forward) >= 32, "struct trit_forward");
_Static_assert(sizeof(struct trit_gradients) >= 32, "struct trit_gradients");
_Static_assert(sizeof(struct trit_layer_get_options) >= 32, "struct trit_layer_get_options");
_Static_assert(sizeof(struct trit_layer) >= 64, "struct trit_layer");
_Static_assert(sizeof(struct trit_layer_verify_options) >= 32, "struct trit_layer_verify_options");
_Static_assert(sizeof(struct trit_layer_ref) >= 32, "struct trit_layer_ref");
_Static_assert(sizeof(struct trit_report_query) >= 56, "struct trit_report_query");
_Static_assert(sizeof(struct trit_tensor) >= 96, "struct trit_tensor");
_Static_assert(sizeof(struct trit_array) >= 96, "struct trit_array");
_Static_assert(sizeof(struct trit_project_options) >= 64, "struct trit_project_options");
_Static_assert(sizeof(struct trit_projection) >= 64, "struct trit_projection");
_Static_assert(sizeof(struct trit_verify_options) >= 80, "struct trit_verify_options");
_Static_assert(sizeof(struct trit_unpack_options) >= 48, "struct trit_unpack_options");
_Static_assert(sizeof(struct trit_finding) == 328, "struct trit_finding");
_Static_assert(sizeof(struct trit_report) >= 6272, "struct trit_report");
_Static_assert(offsetof(struct trit_error, size) == 0 &&
    sizeof(((struct trit_error *)0)->size) == 8, "trit_error.size");
_Static_assert(offsetof(struct trit_error, status) == 8 &&
    sizeof(((struct trit_error *)0)->status) == 4, "trit_error.status");
_Static_assert(offsetof(struct trit_error, reserved) == 12 &&
    sizeof(((struct trit_error *)0)->reserved) == 4, "trit_error.reserved");
_Static_assert(offsetof(struct trit_error, field) == 16 &&
    sizeof(((struct trit_error *)0)->field) == 64, "trit_error.field");
_Static_assert(offsetof(struct trit_error, message) == 80 &&
    sizeof(((struct trit_error *)0)->message) == 1024, "trit_error.message");
_Static_assert(offsetof(struct trit_checkpoint_options, size) == 0 &&
    sizeof(((struct trit_checkpoint_options *)0)->size) == 8, "trit_checkpoint_options.size");
_Static_assert(offsetof(struct trit_checkpoint_options, include) == 8 &&
    sizeof(((struct trit_checkpoint_options *)0)->include) == 8, "trit_checkpoint_options.include");
_Static_assert(offsetof(struct trit_checkpoint_options, include_count) == 16 &&
    sizeof(((struct trit_checkpoint_options *)0)->include_count) == 8, "trit_checkpoint_options.include_count");
_Static_assert(offsetof(struct trit_checkpoint_options, exclude) == 24 &&
    sizeof(((struct trit_checkpoint_options *)0)->exclude) == 8, "trit_checkpoint_options.exclude");
_Static_assert(offsetof(struct trit_checkpoint_options, exclude_count) == 32 &&
    sizeof(((struct trit_checkpoint_options *)0)->exclude_count) == 8, "trit_checkpoint_options.exclude_count");
_Static_assert(offsetof(struct trit_checkpoint_options, convolutions) == 40 &&
    sizeof(((struct trit_checkpoint_options *)0)->convolutions) == 1, "trit_checkpoint_options.convolutions");
_Static_assert(offsetof(struct trit_checkpoint_options, has_encoding) == 41 &&
    sizeof(((struct trit_checkpoint_options *)0)->has_encoding) == 1, "trit_checkpoint_options.has_encoding");
_Static_assert(offsetof(struct trit_checkpoint_options, has_partial_group) == 42 &&
    sizeof(((struct trit_checkpoint_options *)0)->has_partial_group) == 1, "trit_checkpoint_options.has_partial_group");
_Static_assert(offsetof(struct trit_checkpoint_options, again) == 43 &&
    sizeof(((struct trit_checkpoint_options *)0)->again) == 1, "trit_checkpoint_options.again");
_Static_assert(offsetof(struct trit_checkpoint_options, allow_dead) == 44 &&
    sizeof(((struct trit_checkpoint_options *)0)->allow_dead) == 1, "trit_checkpoint_options.allow_dead");
_Static_assert(offsetof(struct trit_checkpoint_options, accept_record) == 45 &&
    sizeof(((struct trit_checkpoint_options *)0)->accept_record) == 1, "trit_checkpoint_options.accept_record");
_Static_assert(offsetof(struct trit_checkpoint_options, encoding) == 48 &&
    sizeof(((struct trit_checkpoint_options *)0)->encoding) == 4, "trit_checkpoint_options.encoding");
_Static_assert(offsetof(struct trit_checkpoint_options, group_size) == 52 &&
    sizeof(((struct trit_checkpoint_options *)0)->group_size) == 4, "trit_checkpoint_options.group_size");
_Static_assert(offsetof(struct trit_checkpoint_options, partial_group) == 56 &&
    sizeof(((struct trit_checkpoint_options *)0)->partial_group) == 4, "trit_checkpoint_options.partial_group");
_Static_assert(offsetof(struct trit_checkpoint_options, mode) == 60 &&
    sizeof(((struct trit_checkpoint_options *)0)->mode) == 4, "trit_checkpoint_options.mode");
_Static_assert(offsetof(struct trit_connect_options, size) == 0 &&
    sizeof(((struct trit_connect_options *)0)->size) == 8, "trit_connect_options.size");
_Static_assert(offsetof(struct trit_connect_options, address) == 8 &&
    sizeof(((struct trit_connect_options *)0)->address) == 8, "trit_connect_options.address");
_Static_assert(offsetof(struct trit_connect_options, timeout_ms) == 16 &&
    sizeof(((struct trit_connect_options *)0)->timeout_ms) == 8, "trit_connect_options.timeout_ms");
_Static_assert(offsetof(struct trit_connect_options, connections) == 24 &&
    sizeof(((struct trit_connect_options *)0)->connections) == 4, "trit_connect_options.connections");
_Static_assert(offsetof(struct trit_connect_options, stream_bytes_min) == 32 &&
    sizeof(((struct trit_connect_options *)0)->stream_bytes_min) == 8, "trit_connect_options.stream_bytes_min");
_Static_assert(offsetof(struct trit_connect_options, message_bytes_max) == 40 &&
    sizeof(((struct trit_connect_options *)0)->message_bytes_max) == 8, "trit_connect_options.message_bytes_max");
_Static_assert(offsetof(struct trit_call_options, size) == 0 &&
    sizeof(((struct trit_call_options *)0)->size) == 8, "trit_call_options.size");
_Static_assert(offsetof(struct trit_call_options, timeout_ms) == 8 &&
    sizeof(((struct trit_call_options *)0)->timeout_ms) == 8, "trit_call_options.timeout_ms");
_Static_assert(offsetof(struct trit_call_options, progress) == 16 &&
    sizeof(((struct trit_call_options *)0)->progress) == 8, "trit_call_options.progress");
_Static_assert(offsetof(struct trit_call_options, progress_arg) == 24 &&
    sizeof(((struct trit_call_options *)0)->progress_arg) == 8, "trit_call_options.progress_arg");
_Static_assert(offsetof(struct trit_layer_spec, size) == 0 &&
    sizeof(((struct trit_layer_spec *)0)->size) == 8, "trit_layer_spec.size");
_Static_assert(offsetof(struct trit_layer_spec, name) == 8 &&
    sizeof(((struct trit_layer_spec *)0)->name) == 256, "trit_layer_spec.name");
_Static_assert(offsetof(struct trit_layer_spec, kind) == 264 &&
    sizeof(((struct trit_layer_spec *)0)->kind) == 4, "trit_layer_spec.kind");
_Static_assert(offsetof(struct trit_layer_spec, group_size) == 268 &&
    sizeof(((struct trit_layer_spec *)0)->group_size) == 4, "trit_layer_spec.group_size");
_Static_assert(offsetof(struct trit_layer_spec, bias) == 272 &&
    sizeof(((struct trit_layer_spec *)0)->bias) == 1, "trit_layer_spec.bias");
_Static_assert(offsetof(struct trit_layer_spec, keep_latents) == 273 &&
    sizeof(((struct trit_layer_spec *)0)->keep_latents) == 1, "trit_layer_spec.keep_latents");
_Static_assert(offsetof(struct trit_layer_spec, in_features) == 280 &&
    sizeof(((struct trit_layer_spec *)0)->in_features) == 8, "trit_layer_spec.in_features");
_Static_assert(offsetof(struct trit_layer_spec, out_features) == 288 &&
    sizeof(((struct trit_layer_spec *)0)->out_features) == 8, "trit_layer_spec.out_features");
_Static_assert(offsetof(struct trit_forward_options, size) == 0 &&
    sizeof(((struct trit_forward_options *)0)->size) == 8, "trit_forward_options.size");
_Static_assert(offsetof(struct trit_forward_options, activations) == 8 &&
    sizeof(((struct trit_forward_options *)0)->activations) == 4, "trit_forward_options.activations");
_Static_assert(offsetof(struct trit_forward_options, report_error) == 12 &&
    sizeof(((struct trit_forward_options *)0)->report_error) == 1, "trit_forward_options.report_error");
_Static_assert(offsetof(struct trit_forward_options, call) == 16 &&
    sizeof(((struct trit_forward_options *)0)->call) == 8, "trit_forward_options.call");
_Static_assert(offsetof(struct trit_forward, size) == 0 &&
    sizeof(((struct trit_forward *)0)->size) == 8, "trit_forward.size");
_Static_assert(offsetof(struct trit_forward, y) == 8 &&
    sizeof(((struct trit_forward *)0)->y) == 8, "trit_forward.y");
_Static_assert(offsetof(struct trit_forward, has_error) == 16 &&
    sizeof(((struct trit_forward *)0)->has_error) == 1, "trit_forward.has_error");
_Static_assert(offsetof(struct trit_forward, max_error) == 20 &&
    sizeof(((struct trit_forward *)0)->max_error) == 4, "trit_forward.max_error");
_Static_assert(offsetof(struct trit_forward, relative_error) == 24 &&
    sizeof(((struct trit_forward *)0)->relative_error) == 4, "trit_forward.relative_error");
_Static_assert(offsetof(struct trit_forward, reserved) == 28 &&
    sizeof(((struct trit_forward *)0)->reserved) == 4, "trit_forward.reserved");
_Static_assert(offsetof(struct trit_gradients, size) == 0 &&
    sizeof(((struct trit_gradients *)0)->size) == 8, "trit_gradients.size");
_Static_assert(offsetof(struct trit_gradients, input) == 8 &&
    sizeof(((struct trit_gradients *)0)->input) == 8, "trit_gradients.input");
_Static_assert(offsetof(struct trit_gradients, weight) == 16 &&
    sizeof(((struct trit_gradients *)0)->weight) == 8, "trit_gradients.weight");
_Static_assert(offsetof(struct trit_gradients, bias) == 24 &&
    sizeof(((struct trit_gradients *)0)->bias) == 8, "trit_gradients.bias");
_Static_assert(offsetof(struct trit_layer_get_options, size) == 0 &&
    sizeof(((struct trit_layer_get_options *)0)->size) == 8, "trit_layer_get_options.size");
_Static_assert(offsetof(struct trit_layer_get_options, part) == 8 &&
    sizeof(((struct trit_layer_get_options *)0)->part) == 4, "trit_layer_get_options.part");
_Static_assert(offsetof(struct trit_layer_get_options, encoding) == 12 &&
    sizeof(((struct trit_layer_get_options *)0)->encoding) == 4, "trit_layer_get_options.encoding");
_Static_assert(offsetof(struct trit_layer_get_options, dtype) == 16 &&
    sizeof(((struct trit_layer_get_options *)0)->dtype) == 4, "trit_layer_get_options.dtype");
_Static_assert(offsetof(struct trit_layer_get_options, call) == 24 &&
    sizeof(((struct trit_layer_get_options *)0)->call) == 8, "trit_layer_get_options.call");
_Static_assert(offsetof(struct trit_layer, size) == 0 &&
    sizeof(((struct trit_layer *)0)->size) == 8, "trit_layer.size");
_Static_assert(offsetof(struct trit_layer, spec) == 8 &&
    sizeof(((struct trit_layer *)0)->spec) == 8, "trit_layer.spec");
_Static_assert(offsetof(struct trit_layer, weight) == 16 &&
    sizeof(((struct trit_layer *)0)->weight) == 8, "trit_layer.weight");
_Static_assert(offsetof(struct trit_layer, bias) == 24 &&
    sizeof(((struct trit_layer *)0)->bias) == 8, "trit_layer.bias");
_Static_assert(offsetof(struct trit_layer, encoding) == 32 &&
    sizeof(((struct trit_layer *)0)->encoding) == 4, "trit_layer.encoding");
_Static_assert(offsetof(struct trit_layer, has_seed) == 36 &&
    sizeof(((struct trit_layer *)0)->has_seed) == 1, "trit_layer.has_seed");
_Static_assert(offsetof(struct trit_layer, seed) == 40 &&
    sizeof(((struct trit_layer *)0)->seed) == 8, "trit_layer.seed");
_Static_assert(offsetof(struct trit_layer, scales) == 48 &&
    sizeof(((struct trit_layer *)0)->scales) == 8, "trit_layer.scales");
_Static_assert(offsetof(struct trit_layer, scale_bytes) == 56 &&
    sizeof(((struct trit_layer *)0)->scale_bytes) == 8, "trit_layer.scale_bytes");
_Static_assert(offsetof(struct trit_layer_verify_options, size) == 0 &&
    sizeof(((struct trit_layer_verify_options *)0)->size) == 8, "trit_layer_verify_options.size");
_Static_assert(offsetof(struct trit_layer_verify_options, prefix) == 8 &&
    sizeof(((struct trit_layer_verify_options *)0)->prefix) == 8, "trit_layer_verify_options.prefix");
_Static_assert(offsetof(struct trit_layer_verify_options, has_tolerance) == 16 &&
    sizeof(((struct trit_layer_verify_options *)0)->has_tolerance) == 1, "trit_layer_verify_options.has_tolerance");
_Static_assert(offsetof(struct trit_layer_verify_options, tolerance) == 20 &&
    sizeof(((struct trit_layer_verify_options *)0)->tolerance) == 4, "trit_layer_verify_options.tolerance");
_Static_assert(offsetof(struct trit_layer_verify_options, call) == 24 &&
    sizeof(((struct trit_layer_verify_options *)0)->call) == 8, "trit_layer_verify_options.call");
_Static_assert(offsetof(struct trit_layer_ref, size) == 0 &&
    sizeof(((struct trit_layer_ref *)0)->size) == 8, "trit_layer_ref.size");
_Static_assert(offsetof(struct trit_layer_ref, run) == 8 &&
    sizeof(((struct trit_layer_ref *)0)->run) == 8, "trit_layer_ref.run");
_Static_assert(offsetof(struct trit_layer_ref, layer) == 16 &&
    sizeof(((struct trit_layer_ref *)0)->layer) == 8, "trit_layer_ref.layer");
_Static_assert(offsetof(struct trit_layer_ref, step) == 24 &&
    sizeof(((struct trit_layer_ref *)0)->step) == 8, "trit_layer_ref.step");
_Static_assert(offsetof(struct trit_report_query, size) == 0 &&
    sizeof(((struct trit_report_query *)0)->size) == 8, "trit_report_query.size");
_Static_assert(offsetof(struct trit_report_query, run) == 8 &&
    sizeof(((struct trit_report_query *)0)->run) == 8, "trit_report_query.run");
_Static_assert(offsetof(struct trit_report_query, layer) == 16 &&
    sizeof(((struct trit_report_query *)0)->layer) == 8, "trit_report_query.layer");
_Static_assert(offsetof(struct trit_report_query, has_from) == 24 &&
    sizeof(((struct trit_report_query *)0)->has_from) == 1, "trit_report_query.has_from");
_Static_assert(offsetof(struct trit_report_query, has_to) == 25 &&
    sizeof(((struct trit_report_query *)0)->has_to) == 1, "trit_report_query.has_to");
_Static_assert(offsetof(struct trit_report_query, latest_only) == 26 &&
    sizeof(((struct trit_report_query *)0)->latest_only) == 1, "trit_report_query.latest_only");
_Static_assert(offsetof(struct trit_report_query, step_from) == 32 &&
    sizeof(((struct trit_report_query *)0)->step_from) == 8, "trit_report_query.step_from");
_Static_assert(offsetof(struct trit_report_query, step_to) == 40 &&
    sizeof(((struct trit_report_query *)0)->step_to) == 8, "trit_report_query.step_to");
_Static_assert(offsetof(struct trit_report_query, call) == 48 &&
    sizeof(((struct trit_report_query *)0)->call) == 8, "trit_report_query.call");
_Static_assert(offsetof(struct trit_tensor, size) == 0 &&
    sizeof(((struct trit_tensor *)0)->size) == 8, "trit_tensor.size");
_Static_assert(offsetof(struct trit_tensor, dtype) == 8 &&
    sizeof(((struct trit_tensor *)0)->dtype) == 4, "trit_tensor.dtype");
_Static_assert(offsetof(struct trit_tensor, rank) == 12 &&
    sizeof(((struct trit_tensor *)0)->rank) == 4, "trit_tensor.rank");
_Static_assert(offsetof(struct trit_tensor, shape) == 16 &&
    sizeof(((struct trit_tensor *)0)->shape) == 64, "trit_tensor.shape");
_Static_assert(offsetof(struct trit_tensor, data) == 80 &&
    sizeof(((struct trit_tensor *)0)->data) == 8, "trit_tensor.data");
_Static_assert(offsetof(struct trit_tensor, bytes) == 88 &&
    sizeof(((struct trit_tensor *)0)->bytes) == 8, "trit_tensor.bytes");
_Static_assert(offsetof(struct trit_array, size) == 0 &&
    sizeof(((struct trit_array *)0)->size) == 8, "trit_array.size");
_Static_assert(offsetof(struct trit_array, dtype) == 8 &&
    sizeof(((struct trit_array *)0)->dtype) == 4, "trit_array.dtype");
_Static_assert(offsetof(struct trit_array, rank) == 12 &&
    sizeof(((struct trit_array *)0)->rank) == 4, "trit_array.rank");
_Static_assert(offsetof(struct trit_array, shape) == 16 &&
    sizeof(((struct trit_array *)0)->shape) == 64, "trit_array.shape");
_Static_assert(offsetof(struct trit_array, data) == 80 &&
    sizeof(((struct trit_array *)0)->data) == 8, "trit_array.data");
_Static_assert(offsetof(struct trit_array, bytes) == 88 &&
    sizeof(((struct trit_array *)0)->bytes) == 8, "trit_array.bytes");
_Static_assert(offsetof(struct trit_project_options, size) == 0 &&
    sizeof(((struct trit_project_options *)0)->size) == 8, "trit_project_options.size");
_Static_assert(offsetof(struct trit_project_options, group_size) == 8 &&
    sizeof(((struct trit_project_options *)0)->group_size) == 4, "trit_project_options.group_size");
_Static_assert(offsetof(struct trit_project_options, partial_group) == 12 &&
    sizeof(((struct trit_project_options *)0)->partial_group) == 4, "trit_project_options.partial_group");
_Static_assert(offsetof(struct trit_project_options, encoding) == 16 &&
    sizeof(((struct trit_project_options *)0)->encoding) == 4, "trit_project_options.encoding");
_Static_assert(offsetof(struct trit_project_options, report) == 20 &&
    sizeof(((struct trit_project_options *)0)->report) == 4, "trit_project_options.report");
_Static_assert(offsetof(struct trit_project_options, allow_lost_scales) == 24 &&
    sizeof(((struct trit_project_options *)0)->allow_lost_scales) == 1, "trit_project_options.allow_lost_scales");
_Static_assert(offsetof(struct trit_project_options, layer) == 32 &&
    sizeof(((struct trit_project_options *)0)->layer) == 8, "trit_project_options.layer");
_Static_assert(offsetof(struct trit_project_options, out) == 40 &&
    sizeof(((struct trit_project_options *)0)->out) == 8, "trit_project_options.out");
_Static_assert(offsetof(struct trit_project_options, out_bytes) == 48 &&
    sizeof(((struct trit_project_options *)0)->out_bytes) == 8, "trit_project_options.out_bytes");
_Static_assert(offsetof(struct trit_project_options, call) == 56 &&
    sizeof(((struct trit_project_options *)0)->call) == 8, "trit_project_options.call");
_Static_assert(offsetof(struct trit_projection, size) == 0 &&
    sizeof(((struct trit_projection *)0)->size) == 8, "trit_projection.size");
_Static_assert(offsetof(struct trit_projection, report) == 8 &&
    sizeof(((struct trit_projection *)0)->report) == 8, "trit_projection.report");
_Static_assert(offsetof(struct trit_projection, encoding) == 16 &&
    sizeof(((struct trit_projection *)0)->encoding) == 4, "trit_projection.encoding");
_Static_assert(offsetof(struct trit_projection, dtype) == 20 &&
    sizeof(((struct trit_projection *)0)->dtype) == 4, "trit_projection.dtype");
_Static_assert(offsetof(struct trit_projection, data_owned) == 24 &&
    sizeof(((struct trit_projection *)0)->data_owned) == 1, "trit_projection.data_owned");
_Static_assert(offsetof(struct trit_projection, data) == 32 &&
    sizeof(((struct trit_projection *)0)->data) == 8, "trit_projection.data");
_Static_assert(offsetof(struct trit_projection, data_bytes) == 40 &&
    sizeof(((struct trit_projection *)0)->data_bytes) == 8, "trit_projection.data_bytes");
_Static_assert(offsetof(struct trit_projection, scales) == 48 &&
    sizeof(((struct trit_projection *)0)->scales) == 8, "trit_projection.scales");
_Static_assert(offsetof(struct trit_projection, scale_bytes) == 56 &&
    sizeof(((struct trit_projection *)0)->scale_bytes) == 8, "trit_projection.scale_bytes");
_Static_assert(offsetof(struct trit_verify_options, size) == 0 &&
    sizeof(((struct trit_verify_options *)0)->size) == 8, "trit_verify_options.size");
_Static_assert(offsetof(struct trit_verify_options, mode) == 8 &&
    sizeof(((struct trit_verify_options *)0)->mode) == 4, "trit_verify_options.mode");
_Static_assert(offsetof(struct trit_verify_options, group_size) == 12 &&
    sizeof(((struct trit_verify_options *)0)->group_size) == 4, "trit_verify_options.group_size");
_Static_assert(offsetof(struct trit_verify_options, partial_group) == 16 &&
    sizeof(((struct trit_verify_options *)0)->partial_group) == 4, "trit_verify_options.partial_group");
_Static_assert(offsetof(struct trit_verify_options, encoding) == 20 &&
    sizeof(((struct trit_verify_options *)0)->encoding) == 4, "trit_verify_options.encoding");
_Static_assert(offsetof(struct trit_verify_options, has_tolerance) == 24 &&
    sizeof(((struct trit_verify_options *)0)->has_tolerance) == 1, "trit_verify_options.has_tolerance");
_Static_assert(offsetof(struct trit_verify_options, tolerance) == 28 &&
    sizeof(((struct trit_verify_options *)0)->tolerance) == 4, "trit_verify_options.tolerance");
_Static_assert(offsetof(struct trit_verify_options, scales_dtype) == 32 &&
    sizeof(((struct trit_verify_options *)0)->scales_dtype) == 4, "trit_verify_options.scales_dtype");
_Static_assert(offsetof(struct trit_verify_options, scales) == 40 &&
    sizeof(((struct trit_verify_options *)0)->scales) == 8, "trit_verify_options.scales");
_Static_assert(offsetof(struct trit_verify_options, scale_bytes) == 48 &&
    sizeof(((struct trit_verify_options *)0)->scale_bytes) == 8, "trit_verify_options.scale_bytes");
_Static_assert(offsetof(struct trit_verify_options, reference) == 56 &&
    sizeof(((struct trit_verify_options *)0)->reference) == 8, "trit_verify_options.reference");
_Static_assert(offsetof(struct trit_verify_options, layer) == 64 &&
    sizeof(((struct trit_verify_options *)0)->layer) == 8, "trit_verify_options.layer");
_Static_assert(offsetof(struct trit_verify_options, call) == 72 &&
    sizeof(((struct trit_verify_options *)0)->call) == 8, "trit_verify_options.call");
_Static_assert(offsetof(struct trit_unpack_options, size) == 0 &&
    sizeof(((struct trit_unpack_options *)0)->size) == 8, "trit_unpack_options.size");
_Static_assert(offsetof(struct trit_unpack_options, encoding) == 8 &&
    sizeof(((struct trit_unpack_options *)0)->encoding) == 4, "trit_unpack_options.encoding");
_Static_assert(offsetof(struct trit_unpack_options, dtype) == 12 &&
    sizeof(((struct trit_unpack_options *)0)->dtype) == 4, "trit_unpack_options.dtype");
_Static_assert(offsetof(struct trit_unpack_options, group_size) == 16 &&
    sizeof(((struct trit_unpack_options *)0)->group_size) == 4, "trit_unpack_options.group_size");
_Static_assert(offsetof(struct trit_unpack_options, scales_dtype) == 20 &&
    sizeof(((struct trit_unpack_options *)0)->scales_dtype) == 4, "trit_unpack_options.scales_dtype");
_Static_assert(offsetof(struct trit_unpack_options, scales) == 24 &&
    sizeof(((struct trit_unpack_options *)0)->scales) == 8, "trit_unpack_options.scales");
_Static_assert(offsetof(struct trit_unpack_options, scale_bytes) == 32 &&
    sizeof(((struct trit_unpack_options *)0)->scale_bytes) == 8, "trit_unpack_options.scale_bytes");
_Static_assert(offsetof(struct trit_unpack_options, call) == 40 &&
    sizeof(((struct trit_unpack_options *)0)->call) == 8, "trit_unpack_options.call");
_Static_assert(offsetof(struct trit_finding, kind) == 0 &&
    sizeof(((struct trit_finding *)0)->kind) == 4, "trit_finding.kind");
_Static_assert(offsetof(struct trit_finding, severity) == 4 &&
    sizeof(((struct trit_finding *)0)->severity) == 4, "trit_finding.severity");
_Static_assert(offsetof(struct trit_finding, has_index) == 8 &&
    sizeof(((struct trit_finding *)0)->has_index) == 1, "trit_finding.has_index");
_Static_assert(offsetof(struct trit_finding, has_group) == 9 &&
    sizeof(((struct trit_finding *)0)->has_group) == 1, "trit_finding.has_group");
_Static_assert(offsetof(struct trit_finding, has_count) == 10 &&
    sizeof(((struct trit_finding *)0)->has_count) == 1, "trit_finding.has_count");
_Static_assert(offsetof(struct trit_finding, index) == 16 &&
    sizeof(((struct trit_finding *)0)->index) == 8, "trit_finding.index");
_Static_assert(offsetof(struct trit_finding, group) == 24 &&
    sizeof(((struct trit_finding *)0)->group) == 8, "trit_finding.group");
_Static_assert(offsetof(struct trit_finding, count) == 32 &&
    sizeof(((struct trit_finding *)0)->count) == 8, "trit_finding.count");
_Static_assert(offsetof(struct trit_finding, expected) == 40 &&
    sizeof(((struct trit_finding *)0)->expected) == 48, "trit_finding.expected");
_Static_assert(offsetof(struct trit_finding, got) == 88 &&
    sizeof(((struct trit_finding *)0)->got) == 48, "trit_finding.got");
_Static_assert(offsetof(struct trit_finding, hint) == 136 &&
    sizeof(((struct trit_finding *)0)->hint) == 160, "trit_finding.hint");
_Static_assert(offsetof(struct trit_finding, reserved) == 296 &&
    sizeof(((struct trit_finding *)0)->reserved) == 32, "trit_finding.reserved");
_Static_assert(offsetof(struct trit_report, size) == 0 &&
    sizeof(((struct trit_report *)0)->size) == 8, "trit_report.size");
_Static_assert(offsetof(struct trit_report, run) == 8 &&
    sizeof(((struct trit_report *)0)->run) == 256, "trit_report.run");
_Static_assert(offsetof(struct trit_report, layer) == 264 &&
    sizeof(((struct trit_report *)0)->layer) == 256, "trit_report.layer");
_Static_assert(offsetof(struct trit_report, step) == 520 &&
    sizeof(((struct trit_report *)0)->step) == 8, "trit_report.step");
_Static_assert(offsetof(struct trit_report, time_unix_ns) == 528 &&
    sizeof(((struct trit_report *)0)->time_unix_ns) == 8, "trit_report.time_unix_ns");
_Static_assert(offsetof(struct trit_report, dtype) == 536 &&
    sizeof(((struct trit_report *)0)->dtype) == 4, "trit_report.dtype");
_Static_assert(offsetof(struct trit_report, rank) == 540 &&
    sizeof(((struct trit_report *)0)->rank) == 4, "trit_report.rank");
_Static_assert(offsetof(struct trit_report, shape) == 544 &&
    sizeof(((struct trit_report *)0)->shape) == 64, "trit_report.shape");
_Static_assert(offsetof(struct trit_report, group_size) == 608 &&
    sizeof(((struct trit_report *)0)->group_size) == 4, "trit_report.group_size");
_Static_assert(offsetof(struct trit_report, groups) == 616 &&
    sizeof(((struct trit_report *)0)->groups) == 8, "trit_report.groups");
_Static_assert(offsetof(struct trit_report, elements) == 624 &&
    sizeof(((struct trit_report *)0)->elements) == 8, "trit_report.elements");
_Static_assert(offsetof(struct trit_report, is_ternary) == 632 &&
    sizeof(((struct trit_report *)0)->is_ternary) == 1, "trit_report.is_ternary");
_Static_assert(offsetof(struct trit_report, fraction_valid) == 640 &&
    sizeof(((struct trit_report *)0)->fraction_valid) == 8, "trit_report.fraction_valid");
_Static_assert(offsetof(struct trit_report, max_round_error) == 648 &&
    sizeof(((struct trit_report *)0)->max_round_error) == 8, "trit_report.max_round_error");
_Static_assert(offsetof(struct trit_report, sample_count) == 656 &&
    sizeof(((struct trit_report *)0)->sample_count) == 4, "trit_report.sample_count");
_Static_assert(offsetof(struct trit_report, sample_values) == 660 &&
    sizeof(((struct trit_report *)0)->sample_values) == 32, "trit_report.sample_values");
_Static_assert(offsetof(struct trit_report, negatives) == 696 &&
    sizeof(((struct trit_report *)0)->negatives) == 8, "trit_report.negatives");
_Static_assert(offsetof(struct trit_report, zeros) == 704 &&
    sizeof(((struct trit_report *)0)->zeros) == 8, "trit_report.zeros");
_Static_assert(offsetof(struct trit_report, positives) == 712 &&
    sizeof(((struct trit_report *)0)->positives) == 8, "trit_report.positives");
_Static_assert(offsetof(struct trit_report, zero_groups) == 720 &&
    sizeof(((struct trit_report *)0)->zero_groups) == 8, "trit_report.zero_groups");
_Static_assert(offsetof(struct trit_report, non_finite) == 728 &&
    sizeof(((struct trit_report *)0)->non_finite) == 8, "trit_report.non_finite");
_Static_assert(offsetof(struct trit_report, has_scales) == 736 &&
    sizeof(((struct trit_report *)0)->has_scales) == 1, "trit_report.has_scales");
_Static_assert(offsetof(struct trit_report, scale_min) == 740 &&
    sizeof(((struct trit_report *)0)->scale_min) == 4, "trit_report.scale_min");
_Static_assert(offsetof(struct trit_report, scale_max) == 744 &&
    sizeof(((struct trit_report *)0)->scale_max) == 4, "trit_report.scale_max");
_Static_assert(offsetof(struct trit_report, scale_mean) == 752 &&
    sizeof(((struct trit_report *)0)->scale_mean) == 8, "trit_report.scale_mean");
_Static_assert(offsetof(struct trit_report, scales_lossy_fp16) == 760 &&
    sizeof(((struct trit_report *)0)->scales_lossy_fp16) == 8, "trit_report.scales_lossy_fp16");
_Static_assert(offsetof(struct trit_report, has_mse) == 768 &&
    sizeof(((struct trit_report *)0)->has_mse) == 1, "trit_report.has_mse");
_Static_assert(offsetof(struct trit_report, has_cosine) == 769 &&
    sizeof(((struct trit_report *)0)->has_cosine) == 1, "trit_report.has_cosine");
_Static_assert(offsetof(struct trit_report, has_sqnr_db) == 770 &&
    sizeof(((struct trit_report *)0)->has_sqnr_db) == 1, "trit_report.has_sqnr_db");
_Static_assert(offsetof(struct trit_report, mse) == 776 &&
    sizeof(((struct trit_report *)0)->mse) == 8, "trit_report.mse");
_Static_assert(offsetof(struct trit_report, cosine) == 784 &&
    sizeof(((struct trit_report *)0)->cosine) == 8, "trit_report.cosine");
_Static_assert(offsetof(struct trit_report, sqnr_db) == 792 &&
    sizeof(((struct trit_report *)0)->sqnr_db) == 8, "trit_report.sqnr_db");
_Static_assert(offsetof(struct trit_report, has_previous) == 800 &&
    sizeof(((struct trit_report *)0)->has_previous) == 1, "trit_report.has_previous");
_Static_assert(offsetof(struct trit_report, previous_step) == 808 &&
    sizeof(((struct trit_report *)0)->previous_step) == 8, "trit_report.previous_step");
_Static_assert(offsetof(struct trit_report, flips) == 816 &&
    sizeof(((struct trit_report *)0)->flips) == 8, "trit_report.flips");
_Static_assert(offsetof(struct trit_report, flip_fraction) == 824 &&
    sizeof(((struct trit_report *)0)->flip_fraction) == 8, "trit_report.flip_fraction");
_Static_assert(offsetof(struct trit_report, transitions) == 832 &&
    sizeof(((struct trit_report *)0)->transitions) == 72, "trit_report.transitions");
_Static_assert(offsetof(struct trit_report, near_threshold_fraction) == 904 &&
    sizeof(((struct trit_report *)0)->near_threshold_fraction) == 8, "trit_report.near_threshold_fraction");
_Static_assert(offsetof(struct trit_report, digest) == 912 &&
    sizeof(((struct trit_report *)0)->digest) == 32, "trit_report.digest");
_Static_assert(offsetof(struct trit_report, kernel) == 944 &&
    sizeof(((struct trit_report *)0)->kernel) == 16, "trit_report.kernel");
_Static_assert(offsetof(struct trit_report, version) == 960 &&
    sizeof(((struct trit_report *)0)->version) == 32, "trit_report.version");
_Static_assert(offsetof(struct trit_report, has_reference) == 992 &&
    sizeof(((struct trit_report *)0)->has_reference) == 1, "trit_report.has_reference");
_Static_assert(offsetof(struct trit_report, reference_mismatches) == 1000 &&
    sizeof(((struct trit_report *)0)->reference_mismatches) == 8, "trit_report.reference_mismatches");
_Static_assert(offsetof(struct trit_report, first_mismatch) == 1008 &&
    sizeof(((struct trit_report *)0)->first_mismatch) == 8, "trit_report.first_mismatch");
_Static_assert(offsetof(struct trit_report, finding_count) == 1016 &&
    sizeof(((struct trit_report *)0)->finding_count) == 4, "trit_report.finding_count");
_Static_assert(offsetof(struct trit_report, findings) == 1024 &&
    sizeof(((struct trit_report *)0)->findings) == 5248, "trit_report.findings");
_Static_assert((int)TRIT_RANK_MAX == 8, "TRIT_RANK_MAX");
_Static_assert((int)TRIT_NAME_BYTES_MAX == 255, "TRIT_NAME_BYTES_MAX");
_Static_assert((int)TRIT_SAMPLES_MAX == 8, "TRIT_SAMPLES_MAX");
_Static_assert((int)TRIT_DIGEST_BYTES == 32, "TRIT_DIGEST_BYTES");
_Static_assert((int)TRIT_MESSAGE_BYTES_MAX == 1023, "TRIT_MESSAGE_BYTES_MAX");
_Static_assert((int)TRIT_FINDINGS_MAX == 16, "TRIT_FINDINGS_MAX");
_Static_assert((int)TRIT_FINDING_VALUE_BYTES_MAX == 47, "TRIT_FINDING_VALUE_BYTES_MAX");
_Static_assert((int)TRIT_FINDING_HINT_BYTES_MAX == 159, "TRIT_FINDING_HINT_BYTES_MAX");
_Static_assert((int)TRIT_OK == 0, "TRIT_OK");
_Static_assert((int)TRIT_CANCELLED == 1, "TRIT_CANCELLED");
_Static_assert((int)TRIT_UNKNOWN == 2, "TRIT_UNKNOWN");
_Static_assert((int)TRIT_INVALID_ARGUMENT == 3, "TRIT_INVALID_ARGUMENT");
_Static_assert((int)TRIT_DEADLINE_EXCEEDED == 4, "TRIT_DEADLINE_EXCEEDED");
_Static_assert((int)TRIT_NOT_FOUND == 5, "TRIT_NOT_FOUND");
_Static_assert((int)TRIT_ALREADY_EXISTS == 6, "TRIT_ALREADY_EXISTS");
_Static_assert((int)TRIT_PERMISSION_DENIED == 7, "TRIT_PERMISSION_DENIED");
_Static_assert((int)TRIT_RESOURCE_EXHAUSTED == 8, "TRIT_RESOURCE_EXHAUSTED");
_Static_assert((int)TRIT_FAILED_PRECONDITION == 9, "TRIT_FAILED_PRECONDITION");
_Static_assert((int)TRIT_ABORTED == 10, "TRIT_ABORTED");
_Static_assert((int)TRIT_OUT_OF_RANGE == 11, "TRIT_OUT_OF_RANGE");
_Static_assert((int)TRIT_UNIMPLEMENTED == 12, "TRIT_UNIMPLEMENTED");
_Static_assert((int)TRIT_INTERNAL == 13, "TRIT_INTERNAL");
_Static_assert((int)TRIT_UNAVAILABLE == 14, "TRIT_UNAVAILABLE");
_Static_assert((int)TRIT_DATA_LOSS == 15, "TRIT_DATA_LOSS");
_Static_assert((int)TRIT_UNAUTHENTICATED == 16, "TRIT_UNAUTHENTICATED");
_Static_assert((int)TRIT_DTYPE_UNSPECIFIED == 0, "TRIT_DTYPE_UNSPECIFIED");
_Static_assert((int)TRIT_F32 == 1, "TRIT_F32");
_Static_assert((int)TRIT_F16 == 2, "TRIT_F16");
_Static_assert((int)TRIT_BF16 == 3, "TRIT_BF16");
_Static_assert((int)TRIT_I8 == 4, "TRIT_I8");
_Static_assert((int)TRIT_U8 == 5, "TRIT_U8");
_Static_assert((int)TRIT_ENCODING_DENSE == 0, "TRIT_ENCODING_DENSE");
_Static_assert((int)TRIT_ENCODING_INT8 == 1, "TRIT_ENCODING_INT8");
_Static_assert((int)TRIT_ENCODING_PQ2_0 == 2, "TRIT_ENCODING_PQ2_0");
_Static_assert((int)TRIT_ENCODING_Q2_0 == 3, "TRIT_ENCODING_Q2_0");
_Static_assert((int)TRIT_ENCODING_PTQ1_0 == 4, "TRIT_ENCODING_PTQ1_0");
_Static_assert((int)TRIT_ENCODING_TQ1_0 == 5, "TRIT_ENCODING_TQ1_0");
_Static_assert((int)TRIT_ENCODING_TQ2_0 == 6, "TRIT_ENCODING_TQ2_0");
_Static_assert((int)TRIT_ENCODING_MLX_2BIT == 7, "TRIT_ENCODING_MLX_2BIT");
_Static_assert((int)TRIT_ENCODING_I2_S == 8, "TRIT_ENCODING_I2_S");
_Static_assert((int)TRIT_ENCODING_HF_BITNET == 9, "TRIT_ENCODING_HF_BITNET");
_Static_assert((int)TRIT_PARTIAL_PADDED == 0, "TRIT_PARTIAL_PADDED");
_Static_assert((int)TRIT_PARTIAL_EXACT == 1, "TRIT_PARTIAL_EXACT");
_Static_assert((int)TRIT_VERIFY_TERNARY == 0, "TRIT_VERIFY_TERNARY");
_Static_assert((int)TRIT_VERIFY_LATENT == 1, "TRIT_VERIFY_LATENT");
_Static_assert((int)TRIT_REPORT_FULL == 0, "TRIT_REPORT_FULL");
_Static_assert((int)TRIT_REPORT_BRIEF == 1, "TRIT_REPORT_BRIEF");
_Static_assert((int)TRIT_REPORT_NONE == 2, "TRIT_REPORT_NONE");
_Static_assert((int)TRIT_LAYER_LINEAR == 0, "TRIT_LAYER_LINEAR");
_Static_assert((int)TRIT_LAYER_EMBEDDING == 1, "TRIT_LAYER_EMBEDDING");
_Static_assert((int)TRIT_LAYER_TERNARY == 0, "TRIT_LAYER_TERNARY");
_Static_assert((int)TRIT_LAYER_LATENTS == 1, "TRIT_LAYER_LATENTS");
_Static_assert((int)TRIT_LAYER_SPEC == 2, "TRIT_LAYER_SPEC");
_Static_assert((int)TRIT_ACTIVATIONS_F32 == 0, "TRIT_ACTIVATIONS_F32");
_Static_assert((int)TRIT_ACTIVATIONS_INT8 == 1, "TRIT_ACTIVATIONS_INT8");
_Static_assert((int)TRIT_VERDICT_PASS == 0, "TRIT_VERDICT_PASS");
_Static_assert((int)TRIT_VERDICT_FAIL == 1, "TRIT_VERDICT_FAIL");
_Static_assert((int)TRIT_VERDICT_INCONCLUSIVE == 2, "TRIT_VERDICT_INCONCLUSIVE");
_Static_assert((int)TRIT_SEVERITY_NOTE == 0, "TRIT_SEVERITY_NOTE");
_Static_assert((int)TRIT_SEVERITY_WARNING == 1, "TRIT_SEVERITY_WARNING");
_Static_assert((int)TRIT_SEVERITY_UNDECIDED == 2, "TRIT_SEVERITY_UNDECIDED");
_Static_assert((int)TRIT_SEVERITY_ERROR == 3, "TRIT_SEVERITY_ERROR");
_Static_assert((int)TRIT_FINDING_UNKNOWN == 0, "TRIT_FINDING_UNKNOWN");
_Static_assert((int)TRIT_FINDING_NOT_TERNARY == 1, "TRIT_FINDING_NOT_TERNARY");
_Static_assert((int)TRIT_FINDING_NON_FINITE == 2, "TRIT_FINDING_NON_FINITE");
_Static_assert((int)TRIT_FINDING_CODE_OUT_OF_RANGE == 3, "TRIT_FINDING_CODE_OUT_OF_RANGE");
_Static_assert((int)TRIT_FINDING_SCALE_NON_FINITE == 4, "TRIT_FINDING_SCALE_NON_FINITE");
_Static_assert((int)TRIT_FINDING_SCALE_NEGATIVE == 5, "TRIT_FINDING_SCALE_NEGATIVE");
_Static_assert((int)TRIT_FINDING_SCALE_ZERO_UNDER_CODES == 6, "TRIT_FINDING_SCALE_ZERO_UNDER_CODES");
_Static_assert((int)TRIT_FINDING_SCALE_LOST == 7, "TRIT_FINDING_SCALE_LOST");
_Static_assert((int)TRIT_FINDING_SCALE_RECIPROCAL == 8, "TRIT_FINDING_SCALE_RECIPROCAL");
_Static_assert((int)TRIT_FINDING_DEAD_LAYER == 9, "TRIT_FINDING_DEAD_LAYER");
_Static_assert((int)TRIT_FINDING_CODES_DIFFER == 10, "TRIT_FINDING_CODES_DIFFER");
_Static_assert((int)TRIT_FINDING_SCALES_DIFFER == 11, "TRIT_FINDING_SCALES_DIFFER");
_Static_assert((int)TRIT_FINDING_DEAD_GROUPS == 12, "TRIT_FINDING_DEAD_GROUPS");
_Static_assert((int)TRIT_FINDING_SCALE_SUBNORMAL == 13, "TRIT_FINDING_SCALE_SUBNORMAL");
_Static_assert((int)TRIT_FINDING_BASE3_NON_CANONICAL == 14, "TRIT_FINDING_BASE3_NON_CANONICAL");
_Static_assert((int)TRIT_FINDING_SCALE_ROUNDED == 15, "TRIT_FINDING_SCALE_ROUNDED");
_Static_assert((int)TRIT_FINDING_ROTATED_BASIS == 16, "TRIT_FINDING_ROTATED_BASIS");
_Static_assert((int)TRIT_FINDING_THRESHOLD_DIFFERS == 17, "TRIT_FINDING_THRESHOLD_DIFFERS");
_Static_assert((int)TRIT_FINDING_GRANULARITY_DIFFERS == 18, "TRIT_FINDING_GRANULARITY_DIFFERS");
_Static_assert((int)TRIT_FINDING_PARTIAL_GROUP_DIFFERS == 19, "TRIT_FINDING_PARTIAL_GROUP_DIFFERS");
_Static_assert((int)TRIT_FINDING_MISSING_LAYER == 20, "TRIT_FINDING_MISSING_LAYER");
_Static_assert((int)TRIT_FINDING_RENAMED == 21, "TRIT_FINDING_RENAMED");
_Static_assert((int)TRIT_FINDING_MISSING_TENSOR == 22, "TRIT_FINDING_MISSING_TENSOR");
_Static_assert((int)TRIT_FINDING_OTHER_TENSOR_DIFFERS == 23, "TRIT_FINDING_OTHER_TENSOR_DIFFERS");
_Static_assert((int)TRIT_FINDING_TRUNCATED == 24, "TRIT_FINDING_TRUNCATED");
_Static_assert((int)TRIT_FINDING_INDEX_DISAGREES == 25, "TRIT_FINDING_INDEX_DISAGREES");
_Static_assert((int)TRIT_FINDING_DUPLICATE == 26, "TRIT_FINDING_DUPLICATE");
_Static_assert((int)TRIT_FINDING_SHARD_CUTS_GROUP == 27, "TRIT_FINDING_SHARD_CUTS_GROUP");
_Static_assert((int)TRIT_FINDING_EXTRA_LAYER == 28, "TRIT_FINDING_EXTRA_LAYER");
_Static_assert((int)TRIT_FINDING_EXTRA_TENSOR == 29, "TRIT_FINDING_EXTRA_TENSOR");
_Static_assert((int)TRIT_FINDING_FOREIGN_PACKING == 30, "TRIT_FINDING_FOREIGN_PACKING");
_Static_assert((int)TRIT_FINDING_UNKNOWN_DTYPE == 31, "TRIT_FINDING_UNKNOWN_DTYPE");
_Static_assert((int)TRIT_FINDING_KEPT_BY_RECORD == 32, "TRIT_FINDING_KEPT_BY_RECORD");
_Static_assert((int)TRIT_FINDING_NOTHING_EXAMINED == 33, "TRIT_FINDING_NOTHING_EXAMINED");
_Static_assert((int)TRIT_FINDING_NOT_IN_INDEX == 34, "TRIT_FINDING_NOT_IN_INDEX");
