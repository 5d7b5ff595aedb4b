# Programs that the end-to-end suite needs, and tests that take longer than it should.

# A server on the same core, with gRPC's interoperability service.
INTEROP := $(O)/tests/interop/interop
INTEROP_GEN := $(GEN)/interop
INTEROP_O := $(patsubst %.c,$(O)/%.o,$(wildcard tests/interop/*.c)) $(O)/gen/interop/grpc/testing/messages.pb.o
$(INTEROP_GEN)/%.pb.c: tests/interop/%.proto $(wildcard tests/interop/grpc/testing/*.options) | $(DEPS)
	@mkdir -p $(INTEROP_GEN)
	@cd tests/interop && $(PYTHON) /usr/bin/nanopb_generator.py -q -I . -D $(abspath $(INTEROP_GEN)) $*.proto
$(INTEROP_O): private CFLAGS += -I$(INTEROP_GEN)
$(INTEROP_O): | $(INTEROP_GEN)/grpc/testing/messages.pb.c
$(INTEROP): $(INTEROP_O) $(LINK_net) $(LINK_grpc)
	@echo "  LINK  $@"
	@$(CC) -o $@ $(INTEROP_O) -Wl,--start-group $(sort $(LINK_net) $(LINK_grpc)) -Wl,--end-group \
	  $(LDFLAGS_ALL) $(LIBS_ALL_net) $(LIBS_ALL_grpc)

# Clients and checkers of other projects, as far as they can be built here.
TOOLS := $(BUILD)/tools/stamp
$(TOOLS): tests/tools/go-tools.sh
	@sh $< $(@D)
	@touch $@

.PHONY: test-every-byte
test-every-byte: $(O)/tests/unit/store/test_flipped ## a store with any of its bytes flipped (a minute)
	@TRIT_EVERY_BYTE=1 $(RUNNER) $<

.PHONY: test-large
test-large: bins $(STUBS) ## memory over a checkpoint of 6 GB (5 GB of disk, a minute)
	@TRIT_LARGE=1 $(RUN_TESTS) --e2e tests/e2e/test_large.py

.PHONY: test-drain test-clients
test-drain: bins $(STUBS) ## 100 restarts behind HAProxy under load, twice (7 minutes)
	@TRIT_DRAIN_TURNS=100 $(RUN_TESTS) --e2e tests/e2e/test_drain.py -- -s
CLIENTS := $(BUILD)/clients
$(CLIENTS)/stamp: tests/tools/clients.sh $(wildcard tests/clients/*/package.json tests/clients/*/pom.xml)
	@sh $< $(CLIENTS)
	@touch $@
test-clients: bins $(STUBS) $(CLIENTS)/stamp ## grpc-js, grpc-java, and calls through Envoy
	@TRIT_CLIENTS=$(abspath $(CLIENTS)) TRIT_ENVOY=$(abspath $(CLIENTS))/envoy $(RUN_TESTS) --e2e tests/clients -- $(E2E)
	@TRIT_ENVOY=$(abspath $(CLIENTS))/envoy $(RUN_TESTS) --e2e tests/e2e/test_proxies.py -- -k envoy

LOAD := $(O)/tests/load/overload
$(LOAD): $(O)/tests/load/overload.o
	@echo "  LINK  $@"
	@$(CC) -o $@ $< $(LDFLAGS_ALL) -lnghttp2

.PHONY: test-overload test-attack
test-attack: bins $(STUBS) ## attacks on a daemon that another client uses meanwhile
	@$(RUN_TESTS) --e2e tests/attack -- $(E2E)
test-overload: bins $(LOAD) $(STUBS) ## goodput from 1x to 10x of the peak; prints a table
	@$(RUN_TESTS) --e2e tests/load/test_overload.py -- -s $(E2E)
