# tritd. `make help` lists the targets; the knobs come first, then the modules, how
# they are compiled and linked, the tests, and what is made of it all.

# ---- knobs ------------------------------------------------------------------
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
# make test-python-torch TORCH=2.4.1 (before 2.3 torch knows NumPy 1 alone)
TORCH ?=
# make run CHECKPOINT=model.safetensors
CHECKPOINT ?=
VERSION := 0.1.0
SOVERSION := 0

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

# ---- variants: build/<variant>/ ---------------------------------------------
CFLAGS_release := -O3 -g
CFLAGS_asan := -O1 -g -fsanitize=address -fno-omit-frame-pointer -DTRIT_ASAN=1
CFLAGS_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_cov := -O0 -g --coverage
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -DTRIT_ASAN=1
CFLAGS_arm64 := -O3 -g

# The sanitizers' shadow wants the address space where it was without ASLR.
RUNNER_asan := setarch -R
RUNNER_tsan := setarch -R
RUNNER_arm64 := qemu-aarch64-static
RUNNER := $(RUNNER_$(VARIANT))

DEPS_arm64 := cross
DEPS_fuzz := lint
DEPS_cov := lint

ifeq ($(VARIANT),arm64)
CC := aarch64-linux-gnu-gcc
AR := aarch64-linux-gnu-ar
export PKG_CONFIG_LIBDIR := /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
endif
ifeq ($(VARIANT),fuzz)
CC := clang
endif

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow \
  -Wstrict-prototypes -Wold-style-definition -Wformat=2 -Wimplicit-fallthrough \
  -Wcast-align -Wundef -Wpointer-arith -Wvla -Werror=missing-prototypes \
  -Werror=implicit-function-declaration -Werror=format-security $(if $(WERROR),-Werror)

# Paths in the objects do not depend on where the tree lies.
HARDEN := -fno-strict-aliasing -fno-math-errno -ffile-prefix-map=$(CURDIR)/= -ffile-prefix-map=$(CURDIR)=.
ifneq ($(filter release arm64,$(VARIANT)),)
HARDEN += -fstack-protector-strong -D_FORTIFY_SOURCE=2
endif

# No contraction: the numeric contract (kernels/README.md) depends on it.
CFLAGS_ALL = -std=c17 -D_GNU_SOURCE -fPIC -ffp-contract=off $(CFLAGS_$(VARIANT)) \
  $(WARN) $(HARDEN) -I. -Iproto -Iserver -Iclient/include -I$(GEN) \
  -DTRITD_VERSION='"$(VERSION)"' $(CFLAGS)
LDFLAGS_ALL = $(filter -fsanitize=% --coverage,$(CFLAGS_$(VARIANT))) -pthread \
  -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# ISA flags: on exactly one object each.
ifneq ($(VARIANT),arm64)
$(O)/kernels/ternary/avx2.o: ISA := -mavx2 -mf16c
$(O)/kernels/ternary/avx512.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi \
  -mavx512vbmi2 -mf16c -mbmi2
# Products name their fused multiply-adds; contraction stays off.
$(O)/kernels/linear/avx2.o: ISA := -mavx2 -mf16c -mfma
$(O)/kernels/linear/avx512.o: ISA := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi \
  -mavx512vnni -mf16c -mfma
endif

# ---- modules: sources by wildcard; a module links with those it may use ----------
MODULES := kernels proto base async obs files checkpoint h2 work store layers grpc services web net app lib cli

DIR_kernels := kernels kernels/ternary kernels/linear
DIR_proto := proto proto/codec
$(foreach r,base async obs files h2 work store layers grpc web net app,$(eval DIR_$r := server/$r))
DIR_checkpoint := checkpoint
DIR_services := server/services server/services/ternary server/services/layers
DIR_lib := client/lib
DIR_cli := client/cli

USES_kernels :=
USES_proto :=
USES_base :=
USES_async := base
USES_obs := base
USES_files := base
USES_checkpoint := files base proto kernels
USES_h2 := base
USES_work := async base kernels proto
USES_store := async obs base proto kernels
USES_layers := obs base kernels proto
USES_grpc := h2 async obs base proto
USES_services := grpc h2 layers work store async obs base proto kernels
USES_web := store async obs base proto kernels
USES_net := h2 async obs base
USES_app := net web services grpc h2 layers work store files async obs base proto kernels
USES_lib := checkpoint files base proto kernels
USES_cli := lib checkpoint files base proto kernels

PKG_proto := jansson
PKG_files := jansson
PKG_checkpoint := jansson
PKG_async := libuv
PKG_net := libuv
PKG_app := libuv
PKG_h2 := libnghttp2
PKG_lib := libnghttp2 jansson
PKG_store := sqlite3
PKG_web := libmicrohttpd jansson
PKG_grpc := gnutls
PKG_services := gnutls libxxhash
PKG_cli := jansson
LIBS_proto := -lprotobuf-nanopb
LIBS_kernels := -lm

pkg_libs = $(if $1,$(shell pkg-config --libs $1))

define module
SRC_$1 := $(foreach d,$(DIR_$1),$(wildcard $(d)/*.c))
OBJ_$1 := $$(SRC_$1:%.c=$(O)/%.o)
LINK_$1 := $(foreach u,$1 $(USES_$1),$(O)/$u.a)
PKGS_$1 := $(sort $(foreach u,$1 $(USES_$1),$(PKG_$u)))
LIBS_ALL_$1 = $$(call pkg_libs,$$(PKGS_$1)) $(foreach u,$1 $(USES_$1),$(LIBS_$u))
$(O)/$1.a: $$(OBJ_$1)
	@rm -f $$@
	@$(AR) qcs $$@ $$^
endef

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
  $(wildcard proto/google/rpc/*.proto)
PB_C := $(PROTOS:proto/%.proto=$(GEN)/%.pb.c)
PB_O := $(PROTOS:proto/%.proto=$(O)/gen/%.pb.o)
$(O)/proto.a: $(PB_O)

$(GEN)/%.pb.c: proto/%.proto $(wildcard proto/*/*/*.options) | $(DEPS)
	@mkdir -p $(GEN)
	@echo "  PROTO $<"
	@cd proto && $(PYTHON) /usr/bin/nanopb_generator.py -q -I . -D $(abspath $(GEN)) $*.proto

# Written only when the flags differ, so that an edit of this page recompiles
# what it changes and no more.
$(O)/flags: force
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(CC) $(CFLAGS_ALL))' | cmp -s - $@ || \
	  echo '$(subst ','\'',$(CC) $(CFLAGS_ALL))' > $@
.PHONY: force
force:

$(O)/%.o: %.c $(O)/flags | $(DEPS) $(PB_C)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) $(ISA) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(GEN)/%.c $(O)/flags | $(DEPS)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -Wno-conversion -Wno-pedantic -MMD -MP -c -o $@ $<

-include $(shell [ -d $(O) ] && find $(O) -name '*.d')

BINS := $(O)/tritd $(O)/trit $(O)/libtrit.so
.PHONY: bins
bins: $(BINS)

$(O)/tritd: $(LINK_app)
	@echo "  LINK  $@"
	@$(CC) -pie -o $@ -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS_ALL) $(LIBS_ALL_app)

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
install: bins ## copy binaries, library, headers and trit.pc under DESTDIR/PREFIX
	install -d $(D)/bin $(D)/lib/pkgconfig $(D)/include/trit
	install -m 755 $(O)/tritd $(O)/trit $(D)/bin
	install -m 755 $(O)/libtrit.so $(D)/lib/libtrit.so.$(VERSION)
	ln -sf libtrit.so.$(VERSION) $(D)/lib/libtrit.so.$(SOVERSION)
	ln -sf libtrit.so.$(SOVERSION) $(D)/lib/libtrit.so
	install -m 644 client/include/trit.h $(D)/include
	install -m 644 proto/trit/types.h $(D)/include/trit
	printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$${prefix}/lib' 'includedir=$${prefix}/include' '' \
	  'Name: trit' 'Description: Client of tritd, the ternary weight daemon' \
	  'Version: $(VERSION)' 'Requires.private: libnghttp2 jansson' \
	  'Libs: -L$${libdir} -ltrit' 'Cflags: -I$${includedir}' > $(D)/lib/pkgconfig/trit.pc

.PHONY: uninstall
uninstall: ## remove what install copied
	rm -f $(D)/bin/tritd $(D)/bin/trit $(D)/lib/libtrit.so $(D)/lib/libtrit.so.$(SOVERSION) \
	  $(D)/lib/libtrit.so.$(VERSION) $(D)/include/trit.h $(D)/include/trit/types.h $(D)/lib/pkgconfig/trit.pc
	-rmdir $(D)/include/trit 2>/dev/null

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
# Python stubs of our services, for tests that use stock grpcio.
STUBS := $(BUILD)/stubs/stamp
$(STUBS): $(wildcard proto/trit/v1/*.proto) $(VENV)
	@mkdir -p $(@D)
	@$(BUILD)/venv/bin/python -m grpc_tools.protoc -I proto --python_out=$(@D) --grpc_python_out=$(@D) \
	  $(filter %.proto,$^)
	@touch $@

RUN_TESTS = TRIT_O=$(abspath $(O)) TRIT_VARIANT=$(VARIANT) TRIT_RUNNER='$(RUNNER)' \
  TRIT_STUBS=$(abspath $(BUILD)/stubs) $(BUILD)/venv/bin/python tests/run.py

.PHONY: test e2e
test: bins $(TESTS) $(STUBS) ## everything: unit tests of every module, then end to end
	@$(RUN_TESTS) $(TESTS) --e2e tests/e2e -- $(E2E)
e2e: bins $(STUBS) ## the end-to-end suite alone (E2E='-k name')
	@$(RUN_TESTS) --e2e tests/e2e -- $(E2E)

.PHONY: check check-asan check-ubsan check-tsan check-arm64 check-kernels
check: test lint ## test and lint
check-asan check-ubsan check-tsan check-arm64: check-%: ## the suite under a sanitizer; arm64 under qemu
	@$(MAKE) --no-print-directory VARIANT=$* test
check-kernels: ## kernel checks, here and as aarch64
	@$(MAKE) --no-print-directory unit MODULE=kernels
	@$(MAKE) --no-print-directory unit MODULE=kernels VARIANT=arm64

# ---- Python ---------------------------------------------------------------------
# The package is tested with Debian's PyTorch and NumPy 1.24, and with MLX and NumPy 2;
# by hand also with PyPI's PyTorch, which brings CUDA along, and under other Pythons.
PYTORCH := $(BUILD)/venv-torch
$(PYTORCH)/stamp: tests/python/requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv --system-site-packages $(PYTORCH)
	@$(PYTORCH)/bin/pip install -q -r $<
	@touch $@
PYMLX := $(BUILD)/venv-mlx
$(PYMLX)/stamp: tests/python/requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv $(PYMLX)
	@$(PYMLX)/bin/pip install -q 'mlx[cpu]' ml_dtypes 'numpy>=2' -r $<
	@touch $@
PYTORCH2 := $(BUILD)/venv-torch2$(TORCH:%=-%)
$(PYTORCH2)/stamp: tests/python/requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv $(PYTORCH2)
	@$(PYTORCH2)/bin/pip install -q --no-cache-dir torch$(TORCH:%===%) ml_dtypes 'numpy>=2' -r $<
	@touch $@
PYTHONS ?= $(sort $(wildcard $(foreach v,3.9 3.10 3.11 3.12 3.13 3.14,/usr/bin/python$v \
  /usr/local/bin/python$v $(HOME)/.pyenv/versions/$v.*/bin/python)))

.PHONY: wheel test-python test-python-torch test-python-versions demo-train
wheel: bins $(PYTORCH)/stamp ## the Python package as a wheel, in build/dist/
	@rm -rf $(BUILD)/dist
	@TRIT_O=$(abspath $(O)) $(PYTORCH)/bin/pip wheel -q --no-deps --no-build-isolation -w $(BUILD)/dist ./client/python
	@$(PYTORCH)/bin/pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
test-python: wheel $(PYMLX)/stamp ## the Python package against the daemon
	@$(PYMLX)/bin/pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	TRIT_O=$(abspath $(O)) $(PYTORCH)/bin/python -m pytest -q -p no:cacheprovider tests/python
	TRIT_O=$(abspath $(O)) $(PYMLX)/bin/python -m pytest -q -p no:cacheprovider tests/python
test-python-torch: wheel $(PYTORCH2)/stamp ## the same with PyPI's PyTorch and NumPy 2, 5 GB (TORCH=version)
	@$(PYTORCH2)/bin/pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	@$(PYTORCH2)/bin/python -c 'import numpy, torch; print("torch", torch.__version__, "numpy", numpy.__version__)'
	TRIT_O=$(abspath $(O)) $(PYTORCH2)/bin/python -m pytest -q -p no:cacheprovider tests/python
test-python-versions: wheel ## the same under every Python at hand (PYTHONS='python3.9 ...')
	@TRIT_O=$(abspath $(O)) bash tests/tools/python-versions.sh $(BUILD)/venv-python \
	  $(BUILD)/dist/trit-*.whl $(PYTHONS)
demo-train: wheel ## three workers train a small transformer through the daemon
	@TRIT_O=$(abspath $(O)) $(PYTORCH)/bin/python tests/demo/train.py

# ---- bench, fuzz, lint, coverage ---------------------------------------------------
BENCHES := $(patsubst %.c,$(O)/%,$(wildcard tests/bench/bench_*.c))
$(O)/tests/bench/%: $(O)/tests/bench/%.o $(LINK_lib)
	@echo "  LINK  $@"
	@$(CC) -o $@ $< -Wl,--start-group $(LINK_lib) -Wl,--end-group $(LDFLAGS_ALL) $(LIBS_ALL_lib)

.PHONY: bench
bench: bins $(BENCHES) $(O)/tests/bench/kernels_peer $(STUBS) wheel $(PYMLX)/stamp $(BUILD)/deps/bench ## measure; writes build/bench.json
	@$(PYMLX)/bin/pip install -q gguf
	@$(PYMLX)/bin/pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	@CC='$(CC)' $(PYMLX)/bin/python tests/bench/ggml.py $(BUILD)/bench-peers/libggml.so
	@TRIT_O=$(abspath $(O)) TRIT_STUBS=$(abspath $(BUILD)/stubs) \
	  GGML_CPU_LIBRARY=$(abspath $(BUILD))/bench-peers/libggml.so $(BUILD)/venv/bin/python \
	  tests/bench/bench.py $(BUILD)/bench.json $(PYMLX)/bin/python $(BENCHES)

FUZZERS := $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/*/fuzz_*.c))
.PHONY: fuzz fuzzers
fuzz: ## every fuzzer for FUZZ_SECONDS
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzzers
fuzzers: $(FUZZERS)
	@for f in $^; do n=$$(basename $$f); mkdir -p $(BUILD)/corpus/$$n tests/fuzz/corpus/$$n; \
	  echo "  FUZZ  $$n"; $$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
	    -artifact_prefix=$(BUILD)/corpus/$$n- $(BUILD)/corpus/$$n tests/fuzz/corpus/$$n 2>$(BUILD)/corpus/$$n.log \
	  || { tail -40 $(BUILD)/corpus/$$n.log; exit 1; }; \
	  grep -E 'stat::number_of_executed|DONE' $(BUILD)/corpus/$$n.log; done

FORMATTED := $(shell find kernels proto server checkpoint client tests -name '*.[ch]' 2>/dev/null)
.PHONY: lint format
lint: bins $(BUILD)/deps/lint ## formatting, include fences, headers that compile alone, globals
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
	@sed -n 's/^\([a-z0-9% -]*\):[^=]*## \(.*\)/\1\t\2/p' Makefile | \
	  awk -F '\t' '{ printf "  %-50s %s\n", $$1, $$2 }'
clean: ## remove build/
	rm -rf $(BUILD)

.SECONDARY:
