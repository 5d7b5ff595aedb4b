# SPDX-License-Identifier: Apache-2.0
# make bench: the programs, the peers, the run.
BENCHES := $(patsubst %.c,$(O)/%,$(wildcard tests/bench/bench_*.c))
$(O)/tests/bench/%: $(O)/tests/bench/%.o $(LINK_lib)
	@echo "  LINK  $@"
	@$(CC) -o $@ $< -Wl,--start-group $(LINK_lib) -Wl,--end-group $(LDFLAGS_ALL) $(LIBS_ALL_lib) $(LIBS_bench)
$(O)/tests/bench/bench_unary: LIBS_bench = $(call pkg_libs,libxxhash)

# Links with the daemon's store.
$(O)/tests/bench/store_fill: $(O)/tests/bench/store_fill.o $(LINK_store)
	@echo "  LINK  $@"
	@$(CC) -o $@ $< -Wl,--start-group $(LINK_store) -Wl,--end-group $(LDFLAGS_ALL) $(LIBS_ALL_store)

# A server by gRPC C++, to compare with.
GRPC_PEER := $(BUILD)/bench-peers/grpc
$(GRPC_PEER)/grpc_peer: tests/bench/grpc_peer.cc tests/bench/peer_pack.h $(O)/tests/bench/peer_pack.o \
  $(LINK_kernels) $(wildcard proto/trit/v1/*.proto) | $(BUILD)/deps/bench
	@mkdir -p $(@D)
	@echo "  C++   $@"
	@protoc -I proto --cpp_out=$(@D) --grpc_out=$(@D) \
	  --plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) \
	  proto/trit/v1/memory.proto proto/trit/v1/tensor.proto proto/trit/v1/report.proto proto/trit/v1/ternary.proto
	@for name in memory tensor report ternary ternary.grpc; do \
	  $(CXX) -std=c++17 -O2 -I. -I$(@D) -c -o $(@D)/$$name.o $(@D)/trit/v1/$$name.pb.cc || exit 1; done
	@$(CXX) -std=c++17 -O2 -I. -I$(@D) -c -o $(@D)/grpc_peer.o $<
	@$(CXX) -o $@ $(@D)/*.o $(O)/tests/bench/peer_pack.o -Wl,--start-group $(LINK_kernels) -Wl,--end-group \
	  $(LDFLAGS_ALL) $$(pkg-config --libs grpc++ protobuf) $(LIBS_ALL_kernels)

.PHONY: bench
bench: bins $(BENCHES) $(O)/tests/bench/kernels_peer $(O)/tests/bench/call_rate $(O)/tests/bench/store_fill $(STUBS) wheel $(PYMLX)/stamp $(BUILD)/deps/bench $(GRPC_PEER)/grpc_peer ## measure; writes build/bench.json and bench.md
	@$(PYMLX)/bin/pip install -q gguf
	@$(PYMLX)/bin/pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	@CC='$(CC)' $(PYMLX)/bin/python tests/bench/ggml.py $(BUILD)/bench-peers/libggml.so
	@TRIT_O=$(abspath $(O)) TRIT_STUBS=$(abspath $(BUILD)/stubs) \
	  GGML_CPU_LIBRARY=$(abspath $(BUILD))/bench-peers/libggml.so \
	  GRPC_PEER=$(abspath $(GRPC_PEER))/grpc_peer $(BUILD)/venv/bin/python \
	  tests/bench/bench.py $(BUILD)/bench.json $(PYMLX)/bin/python $(BENCHES)

.PHONY: bench-accounts
bench-accounts: bins $(STUBS) $(BUILD)/deps/bench ## what charging bytes to accounts costs a call of 1 KiB
	@$(MAKE) --no-print-directory VARIANT=uncharged build/uncharged/tritd
	@TRIT_STUBS=$(abspath $(BUILD)/stubs) $(BUILD)/venv/bin/python tests/bench/accounts.py \
	  $(O)/tritd build/uncharged/tritd

