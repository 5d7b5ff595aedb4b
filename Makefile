# tritd. `make help` lists the targets. First the variables that a caller may set, then
# building, installing and testing. make/ holds the variants, the modules and Python.

# ---- variables of the caller ------------------------------------------------------------------
BUILD   ?= build
VARIANT ?= release
PREFIX  ?= /usr/local
DESTDIR ?=
WERROR  ?=
# The unit tests of one module: make unit MODULE=store.
MODULE    ?= *
# Words for pytest: make e2e E2E='-k golden'.
E2E     ?=
FUZZ_SECONDS ?= 60
# Of all fuzzers of the network together.
FUZZ_SHARED_SECONDS ?= 80
# make test-python-torch TORCH=2.4.1 (PyTorch before 2.3 supports only NumPy 1)
TORCH ?=
# make run CHECKPOINT=model.safetensors
CHECKPOINT ?=
VERSION := 0.2.0
# Of libtrit. docs/abi.md says when it changes.
SOVERSION := 1

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
PYTHON := /usr/bin/python3

O := $(BUILD)/$(VARIANT)
GEN := $(BUILD)/gen

# All cores, unless the command line says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(shell nproc)
endif

include make/variants.mk
include make/modules.mk

.PHONY: all
all: bins ## build tritd, trit and libtrit.so

$(foreach r,$(MODULES),$(eval $(call module,$r)))

# ---- dependencies: Debian packages by purpose, PyPI packages in build/venv ----
# A stamp for each list, so that a satisfied list costs nothing.
DEPS := $(BUILD)/deps/build $(DEPS_$(VARIANT):%=$(BUILD)/deps/%)
VENV := $(BUILD)/venv/stamp

.PHONY: deps
deps: $(DEPS) ## install what building needs, or say how

$(BUILD)/deps/%: docker/packages/% docker/packages.sh
	@mkdir -p $(@D)
	@sh docker/packages.sh $<
	@touch $@

$(VENV): tests/requirements.txt $(BUILD)/deps/test
	@echo "  VENV  $(@D)"
	@rm -rf $(@D) && $(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# ---- generated code, objects, binaries -----------------------------------------
PROTOS := $(wildcard proto/trit/v1/*.proto) proto/grpc/health/v1/health.proto \
  proto/grpc/reflection/v1/reflection.proto
# What is installed, and what the daemon serves by reflection.
PROTOS_INSTALLED := $(PROTOS) proto/grpc/reflection/v1alpha/reflection.proto
PROTOS_SERVED := $(PROTOS_INSTALLED) proto/google/rpc/error_details.proto
PB_C := $(PROTOS:proto/%.proto=$(GEN)/%.pb.c)
PB_O := $(PROTOS:proto/%.proto=$(O)/gen/%.pb.o)
$(O)/proto.a: $(PB_O) $(O)/gen/descriptors.o

$(GEN)/%.pb.c: proto/%.proto $(wildcard proto/*/*/*.options) | $(DEPS)
	@mkdir -p $(GEN)
	@echo "  PROTO $<"
	@cd proto && $(PYTHON) /usr/bin/nanopb_generator.py -q -I . -D $(abspath $(GEN)) $*.proto

$(GEN)/descriptors.c: $(PROTOS_SERVED) proto/descriptors.py | $(DEPS)
	@mkdir -p $(GEN)
	@cd proto && protoc -I . --include_imports --descriptor_set_out=$(abspath $(GEN))/descriptors.set $(PROTOS_SERVED:proto/%=%)
	@$(PYTHON) proto/descriptors.py $(GEN)/descriptors.set > $@.new && mv $@.new $@

# The files that the pages need, and the description of the API.
WEB_ASSETS := $(wildcard server/web/assets/*)
$(GEN)/web_assets.c: server/web/assets.py $(WEB_ASSETS) $(wildcard docs/schema/*.json) Makefile | $(DEPS)
	@mkdir -p $(GEN)
	@echo "  ASSET server/web/assets"
	@$(PYTHON) $< server/web/assets docs/schema $(VERSION) > $@.new && mv $@.new $@
$(O)/web.a: $(O)/gen/web_assets.o

# Written only when the flags differ, so that other edits of this file compile nothing.
$(O)/flags: force
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(CFLAGS_ALL) $(WHOLE_OBJECT))' | cmp -s - $@ || \
	  echo '$(subst ','\'',$(CC) $(CFLAGS_ALL) $(WHOLE_OBJECT))' > $@
.PHONY: force
force:

$(O)/%.o: %.c $(O)/flags | $(DEPS) $(PB_C)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) $(ISA) $(OPTIMIZE) -MMD -MP -c -o $@ $<

# Others' sources: their warnings are theirs.
$(O)/third_party/%.o: third_party/%.c $(O)/flags | $(DEPS)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) $(THIRD_PARTY) -w -MMD -MP -c -o $@ $<
$(O)/json.a: $(O)/third_party/yyjson/yyjson.o

$(O)/gen/%.o: $(GEN)/%.c $(O)/flags | $(DEPS) $(PB_C)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -Wno-conversion -Wno-pedantic -MMD -MP -c -o $@ $<

-include $(shell [ -d $(O) ] && find $(O) -name '*.d')

BINS := $(O)/tritd $(O)/trit $(O)/libtrit.so
.PHONY: bins
bins: $(BINS)

$(O)/tritd: $(LINK_app)
	@echo "  LINK  $@"
	@$(CC) -pie -o $@ -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS_WHOLE) $(LIBS_ALL_app)

$(O)/trit: $(LINK_cli)
	@echo "  LINK  $@"
	@$(CC) -pie -o $@ -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS_ALL) $(LIBS_ALL_cli)

$(O)/libtrit.so: $(LINK_lib) client/lib/libtrit.map
	@echo "  LINK  $@"
	@$(CC) -shared -o $@ -Wl,-soname,libtrit.so.$(SOVERSION) \
	  -Wl,--version-script=client/lib/libtrit.map -Wl,--whole-archive $(O)/lib.a \
	  -Wl,--no-whole-archive -Wl,--start-group $(filter-out $(O)/lib.a,$(LINK_lib)) -Wl,--end-group \
	  $(LDFLAGS_ALL) $(LIBS_ALL_lib)
	@ln -sf libtrit.so $(O)/libtrit.so.$(SOVERSION)

# ---- install ------------------------------------------------------------------
D := $(DESTDIR)$(PREFIX)
.PHONY: install
install: bins ## copy binaries, library, headers, schemas and trit.pc under DESTDIR/PREFIX
	install -d $(D)/bin $(D)/lib/pkgconfig $(D)/include/trit $(D)/share/trit/schema
	install -m 755 $(O)/tritd $(O)/trit $(D)/bin
	install -m 755 $(O)/libtrit.so $(D)/lib/libtrit.so.$(VERSION)
	ln -sf libtrit.so.$(VERSION) $(D)/lib/libtrit.so.$(SOVERSION)
	ln -sf libtrit.so.$(SOVERSION) $(D)/lib/libtrit.so
	install -m 644 client/include/trit.h $(D)/include
	install -m 644 $(wildcard client/include/trit/*.h) proto/trit/types.h $(D)/include/trit
	install -m 644 $(wildcard docs/schema/*.json) $(D)/share/trit/schema
	for p in $(PROTOS_INSTALLED:proto/%=%); do \
	  install -D -m 644 proto/$$p $(D)/share/trit/proto/$$p || exit 1; done
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	  'Name: trit' 'Description: Client of tritd, the ternary weight daemon' \
	  'Version: $(VERSION)' 'Requires.private: libnghttp2 jansson gnutls' \
	  'Libs: -L$${libdir} -ltrit' 'Cflags: -I$${includedir}' > $(D)/lib/pkgconfig/trit.pc

.PHONY: uninstall
uninstall: ## remove what install copied
	rm -f $(D)/bin/tritd $(D)/bin/trit $(D)/lib/libtrit.so $(D)/lib/libtrit.so.$(SOVERSION) \
	  $(D)/lib/libtrit.so.$(VERSION) $(D)/include/trit.h $(D)/lib/pkgconfig/trit.pc \
	  $(patsubst client/include/%,$(D)/include/%,$(wildcard client/include/trit/*.h)) $(D)/include/trit/types.h \
	  $(patsubst docs/schema/%,$(D)/share/trit/schema/%,$(wildcard docs/schema/*.json))
	rm -f $(PROTOS_INSTALLED:proto/%=$(D)/share/trit/proto/%)
	-find $(D)/share/trit/proto -depth -type d -exec rmdir {} + 2>/dev/null
	-rmdir $(D)/include/trit $(D)/share/trit/schema $(D)/share/trit 2>/dev/null

# ---- run ------------------------------------------------------------------------
.PHONY: run
run: bins ## start tritd and ternarize a real checkpoint (CHECKPOINT=file for yours)
	@bash tests/tools/demo.sh $(O) $(BUILD)/run $(if $(CHECKPOINT),'$(CHECKPOINT)')

# ---- unit tests: tests/unit/<module>/test_*.c links with that module ------------------
TESTS := $(patsubst %.c,$(O)/%,$(wildcard tests/unit/*/test_*.c))
TESTS_WANTED := $(filter $(O)/tests/unit/$(if $(filter *,$(MODULE)),%,$(MODULE)/%),$(TESTS))
$(TESTS:%=%.o): | $(BUILD)/deps/test
TESTLIB := $(O)/testlib.a
$(TESTLIB): $(patsubst %.c,$(O)/%.o,$(wildcard tests/lib/*.c))
	@$(AR) rcs $@ $^

define module_tests
$(O)/tests/unit/$1/%: $(O)/tests/unit/$1/%.o $(TESTLIB) $(LINK_$1)
	@echo "  LINK  $$@"
	@$(CC) -o $$@ $$< -Wl,--start-group $(TESTLIB) $(LINK_$1) -Wl,--end-group $(LDFLAGS_ALL) \
	  $$(LIBS_ALL_$1) $$(foreach f,$$(wildcard tests/unit/$1/LDFLAGS),$$(file <$$f))
$(O)/tests/fuzz/$1/%: $(O)/tests/fuzz/$1/%.o $(LINK_$1)
	@echo "  LINK  $$@"
	@$(CC) -fsanitize=fuzzer -o $$@ $$< -Wl,--start-group $(LINK_$1) -Wl,--end-group \
	  $(LDFLAGS_ALL) $$(LIBS_ALL_$1)
endef
$(foreach r,$(MODULES),$(eval $(call module_tests,$r)))

.PHONY: unit
unit: $(TESTS_WANTED) ## unit tests (MODULE=name for one module)
	@for t in $^; do $(RUNNER) $$t || exit 1; done

# ---- the whole suite ------------------------------------------------------------
# Python stubs of the services, for tests with grpcio.
STUBS := $(BUILD)/stubs/stamp
$(STUBS): $(wildcard proto/trit/v1/*.proto) $(VENV)
	@mkdir -p $(@D)
	@$(BUILD)/venv/bin/python -m grpc_tools.protoc -I proto --python_out=$(@D) --grpc_python_out=$(@D) \
	  $(filter %.proto,$^)
	@touch $@

# Makes calls of trit fail, for the end-to-end tests.
FAILING := $(O)/tests/e2e/failing_calls.so
$(FAILING): $(O)/tests/e2e/failing_calls.o
	@echo "  LINK  $@"
	@$(CC) -shared -o $@ $< $(LDFLAGS_ALL)

RUN_TESTS = TRIT_O=$(abspath $(O)) TRIT_VARIANT=$(VARIANT) TRIT_RUNNER='$(RUNNER)' \
  TRIT_STUBS=$(abspath $(BUILD)/stubs) $(BUILD)/venv/bin/python tests/run.py

include make/tests.mk

.PHONY: test e2e
test: bins $(TESTS) $(STUBS) $(FAILING) $(INTEROP) $(TOOLS) ## everything: unit tests of every module, then end to end
	@$(RUN_TESTS) $(TESTS) --e2e tests/e2e -- $(E2E)
e2e: bins $(STUBS) $(FAILING) $(INTEROP) $(TOOLS) ## the end-to-end suite alone (E2E='-k name')
	@$(RUN_TESTS) --e2e tests/e2e -- $(E2E)

.PHONY: check check-asan check-tsan check-arm64 check-kernels
check: test lint ## test and lint
check-asan check-tsan check-arm64: check-%: ## the suite under a sanitizer; arm64 under qemu
	@$(MAKE) --no-print-directory VARIANT=$* test
check-tsan: check-tsan-loops
.PHONY: check-tsan-loops
check-tsan-loops: ## ThreadSanitizer, end to end, on a daemon with three loops
	@TRITD_LOOPS=3 $(MAKE) --no-print-directory VARIANT=tsan e2e E2E='-k "loops or test_jobs or test_reports or run_health or shared_memory or layers or cancel or tls or reload or drain"'
check-kernels: ## kernel checks, here and as aarch64
	@$(MAKE) --no-print-directory unit MODULE=kernels
	@$(MAKE) --no-print-directory unit MODULE=kernels VARIANT=arm64

include make/python.mk

include make/bench.mk

# ---- fuzz, lint, coverage ----------------------------------------------------------
FUZZERS := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/*/fuzz_*.c))
# Of what comes from the network; the others read files.
FUZZERS_NETWORK := $(filter $(foreach m,access grpc h2 proto tls web,$(O)/tests/fuzz/$m/%),$(FUZZERS))
# The three files of web that it calls, without the modules below web.
$(O)/tests/fuzz/web/fuzz_head: $(addprefix $(O)/,tests/fuzz/web/fuzz_head.o \
  server/web/head.o server/web/host.o server/web/network.o base.a)
	@echo "  LINK  $@"
	@$(CC) -fsanitize=fuzzer -o $@ $^ $(LDFLAGS_ALL)

.PHONY: fuzz fuzzers fuzz-network fuzzers-network
fuzz: ## every fuzzer for FUZZ_SECONDS
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzzers
fuzzers: $(FUZZERS)
	@sh tests/tools/fuzz.sh $(BUILD)/corpus $(FUZZ_SECONDS) $^
fuzz-network: $(BUILD)/deps/lint ## the fuzzers of the network for FUZZ_SHARED_SECONDS together
	@if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
	  clang -fsanitize=fuzzer -w -x c -o /dev/null - 2>/dev/null; then \
	  $(MAKE) --no-print-directory VARIANT=fuzz fuzzers-network; \
	else \
	  echo 'skipped: clang has no libFuzzer here (Debian: libclang-rt-14-dev)'; \
	  echo '0 passed, 0 failed'; \
	fi
fuzzers-network: $(FUZZERS_NETWORK)
	@sh tests/tools/fuzz.sh --shared $(BUILD)/corpus-network $(FUZZ_SHARED_SECONDS) $^

FORMATTED := $(shell find kernels proto server checkpoint client tests -name '*.[ch]' 2>/dev/null)
.PHONY: lint format
lint: bins $(TESTLIB) $(BUILD)/deps/lint ## formatting, include fences, headers that compile alone, globals
	@clang-format --dry-run -Werror $(FORMATTED)
	@$(PYTHON) tests/tools/lint.py $(O) $(CC) $(CFLAGS_ALL)
format: $(BUILD)/deps/lint ## clang-format in place
	@clang-format -i $(FORMATTED)

.PHONY: cov
cov: ## line coverage of the whole suite, in build/cov/
	@$(MAKE) --no-print-directory VARIANT=cov test
	@mkdir -p $(BUILD)/cov
	@gcovr -r . --object-directory $(BUILD)/cov -e tests -e $(GEN) --html-details $(BUILD)/cov/index.html -s | tail -4

# ---- images and bare machines -------------------------------------------------------
.PHONY: image check-image check-bare
image: ## docker/Dockerfile with docker or buildah
	@sh docker/image.sh tritd:$(VERSION)
check-image: $(BUILD)/deps/image ## build the image without an engine, start it, call it
	@bash docker/check-image.sh $(abspath $(BUILD))
check-bare: $(BUILD)/deps/image ## make run and make test on a minimal Debian 12
	@bash docker/check-bare.sh

# ---- the rest ----------------------------------------------------------------------
.PHONY: help clean
help: ## this list
	@sed -n 's/^\([a-z0-9% -]*\):[^=]*## \(.*\)/\1\t\2/p' Makefile make/*.mk | \
	  awk -F '\t' '{ printf "  %-50s %s\n", $$1, $$2 }'
clean: ## remove build/
	rm -rf $(BUILD)

.SECONDARY:
