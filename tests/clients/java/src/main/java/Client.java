// SPDX-License-Identifier: Apache-2.0
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Iterator;
import java.util.concurrent.TimeUnit;

/** Calls the daemon with grpc-java: Client ADDRESS [CA_FILE TOKEN]. Messages are written by
 * hand. Prints one line of JSON for each call: what it was and how it ended. */
public final class Client {
    private static final int ROWS = 64, COLUMNS = 128;

    private static final MethodDescriptor.Marshaller<byte[]> BYTES =
            new MethodDescriptor.Marshaller<>() {
                @Override
                public InputStream stream(byte[] value) {
                    return new ByteArrayInputStream(value);
                }

                @Override
                public byte[] parse(InputStream stream) {
                    try {
                        return stream.readAllBytes();
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                }
            };

    private static MethodDescriptor<byte[], byte[]> method(
            String name, MethodDescriptor.MethodType type) {
        return MethodDescriptor.newBuilder(BYTES, BYTES).setFullMethodName(name).setType(type)
                .build();
    }

    private static void varint(ByteArrayOutputStream to, long value) {
        for (; value > 0x7f; value >>>= 7) {
            to.write((int) (value & 0x7f | 0x80));
        }
        to.write((int) value);
    }

    private static byte[] field(int number, byte[] bytes) {
        ByteArrayOutputStream to = new ByteArrayOutputStream(bytes.length + 16);
        varint(to, (long) number << 3 | 2);
        varint(to, bytes.length);
        to.writeBytes(bytes);
        return to.toByteArray();
    }

    private static byte[] join(byte[]... parts) {
        ByteArrayOutputStream to = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            to.writeBytes(part);
        }
        return to.toByteArray();
    }

    private static byte[] number(int number, long value) {
        ByteArrayOutputStream to = new ByteArrayOutputStream();
        varint(to, (long) number << 3);
        varint(to, value);
        return to.toByteArray();
    }

    private static byte[] shape() {
        ByteArrayOutputStream to = new ByteArrayOutputStream();
        varint(to, ROWS);
        varint(to, COLUMNS);
        return to.toByteArray();
    }

    private static void say(String call, Throwable error, int bytes) {
        String code = "OK", message = "";
        int details = 0;
        if (error instanceof StatusRuntimeException failed) {
            code = failed.getStatus().getCode().name();
            message = String.valueOf(failed.getStatus().getDescription());
            Metadata.Key<byte[]> key = Metadata.Key.of("grpc-status-details-bin",
                    Metadata.BINARY_BYTE_MARSHALLER);
            details = failed.getTrailers() != null && failed.getTrailers().containsKey(key) ? 1 : 0;
        } else if (error != null) {
            code = error.toString();
        }
        byte[] line = String.format("{\"call\": \"%s\", \"code\": \"%s\", \"message\": \"%s\", "
                + "\"details\": %d, \"bytes\": %d}%n", call, code, message.replace("\\", "\\\\")
                .replace("\"", "\\\""), details, bytes).getBytes(StandardCharsets.UTF_8);
        System.out.write(line, 0, line.length);
        System.out.flush();
    }

    private interface Call {
        int run();
    }

    private static void attempt(String name, Call call) {
        try {
            say(name, null, call.run());
        } catch (StatusRuntimeException error) {
            say(name, error, 0);
        }
    }

    private static int stream(io.grpc.Channel channel, byte[] data, int chunks, long millis) {
        var type = MethodDescriptor.MethodType.BIDI_STREAMING;
        var call = channel.newCall(method("trit.v1.Ternary/ProjectStream", type),
                CallOptions.DEFAULT.withDeadlineAfter(millis, TimeUnit.MILLISECONDS));
        var replies = new java.util.concurrent.CompletableFuture<Integer>();
        var requests = ClientCalls.asyncBidiStreamingCall(call,
                new io.grpc.stub.StreamObserver<byte[]>() {
                    private int bytes;

                    @Override
                    public void onNext(byte[] reply) {
                        bytes += reply.length;
                    }

                    @Override
                    public void onError(Throwable error) {
                        replies.completeExceptionally(error);
                    }

                    @Override
                    public void onCompleted() {
                        replies.complete(bytes);
                    }
                });
        byte[] start = join(START_DTYPE, field(START_SHAPE, shape()));
        requests.onNext(field(1, start));
        for (int i = 0; i < chunks; i++) {
            byte[] piece = java.util.Arrays.copyOfRange(data, i * 8192, i * 8192 + 8192);
            requests.onNext(field(REQUEST_CHUNK, join(number(1, i * 8192L), field(CHUNK_DATA, piece))));
        }
        if (chunks == 4) {
            requests.onCompleted();
        }
        try {
            return replies.get();
        } catch (InterruptedException error) {
            throw new IllegalStateException(error);
        } catch (java.util.concurrent.ExecutionException error) {
            throw (StatusRuntimeException) error.getCause();
        }
    }

    // Field numbers of proto/trit/v1.
    private static final byte[] START_DTYPE = number(3, 1);
    private static final int START_SHAPE = 4, CHUNK_DATA = 15, TENSOR_DATA = 15,
            REQUEST_TENSOR = 3, REQUEST_CHUNK = 15;

    public static void main(String[] words) throws Exception {
        NettyChannelBuilder builder = NettyChannelBuilder.forTarget(words[0])
                .maxInboundMessageSize(Integer.MAX_VALUE).disableRetry();
        if (words.length > 1) {
            builder.sslContext(GrpcSslContexts.forClient().trustManager(new File(words[1])).build());
            Metadata token = new Metadata();
            token.put(Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
                    "Bearer " + words[2]);
            builder.intercept(MetadataUtils.newAttachHeadersInterceptor(token));
        } else {
            builder.usePlaintext();
        }
        ManagedChannel channel = builder.build();
        var unary = MethodDescriptor.MethodType.UNARY;
        var project = method("trit.v1.Ternary/Project", unary);
        CallOptions minute = CallOptions.DEFAULT.withDeadlineAfter(60, TimeUnit.SECONDS);
        ByteBuffer values = ByteBuffer.allocate(4 * ROWS * COLUMNS).order(ByteOrder.LITTLE_ENDIAN);
        for (int i = 0; i < ROWS * COLUMNS; i++) {
            values.putFloat((float) Math.sin(i));
        }
        byte[] data = values.array();
        byte[] tensor = join(number(1, 1), field(2, shape()), field(TENSOR_DATA, data));
        byte[] request = field(REQUEST_TENSOR, tensor);

        attempt("unary", () -> ClientCalls.blockingUnaryCall(channel, project, minute, request)
                .length);
        attempt("gzip", () -> ClientCalls.blockingUnaryCall(channel, project,
                minute.withCompression("gzip"), request).length);
        attempt("stream", () -> stream(channel, data, 4, 60000));
        attempt("deadline", () -> stream(channel, data, 2, 500));
        attempt("missing", () -> ClientCalls.blockingUnaryCall(channel,
                method("trit.v1.Layers/Get", unary), minute,
                field(1, "größe".getBytes(StandardCharsets.UTF_8))).length);
        byte[] large = new byte[300 << 20];
        attempt("too large", () -> ClientCalls.blockingUnaryCall(channel, project, minute, large)
                .length);
        attempt("again", () -> ClientCalls.blockingUnaryCall(channel, project, minute, request)
                .length);
        channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
}
