# tritd. `make help` lists the targets.

# ---- knobs ------------------------------------------------------------------
BUILD   ?= build
VARIANT ?= release
CC      ?= gcc
AR      ?= ar
PREFIX  ?= /usr/local
DESTDIR ?=
WERROR  ?=
VERSION := 0.1.0
SOVERSION := 0

O := $(BUILD)/$(VARIANT)
GEN := $(BUILD)/gen

# make's own CC default is `cc`; a plain gcc is what we test with.
ifeq ($(origin CC),default)
CC := gcc
endif

CFLAGS_release := -O3 -g
CFLAGS_asan := -O1 -g -fsanitize=address -fno-omit-frame-pointer -DTRIT_ASAN=1
CFLAGS_ubsan := -O1 -g -fsanitize=undefined -fno-sanitize-recover=all
CFLAGS_tsan := -O1 -g -fsanitize=thread
CFLAGS_cov := -O0 -g --coverage
CFLAGS_arm64 := -O3 -g

ifeq ($(VARIANT),arm64)
CC := aarch64-linux-gnu-gcc
AR := aarch64-linux-gnu-ar
export PKG_CONFIG_LIBDIR := /usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig
RUNNER := qemu-aarch64-static
endif

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow \
  -Wstrict-prototypes -Wold-style-definition -Wformat=2 -Wimplicit-fallthrough \
  -Wcast-align -Wundef -Wpointer-arith -Wvla -Werror=missing-prototypes \
  -Werror=implicit-function-declaration -Werror=format-security $(if $(WERROR),-Werror)

HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fno-strict-aliasing -fno-math-errno
ifneq ($(filter asan ubsan tsan cov,$(VARIANT)),)
HARDEN := -fno-strict-aliasing -fno-math-errno
endif

# No contraction: the numeric contract (kernels/README.md) depends on it.
CFLAGS_ALL = -std=c17 -D_GNU_SOURCE -fPIC -ffp-contract=off $(CFLAGS_$(VARIANT)) \
  $(WARN) $(HARDEN) -I. -Iproto -Iserver -Iclient/include -I$(GEN) \
  -DTRITD_VERSION='"$(VERSION)"' $(CFLAGS)
LDFLAGS_ALL = $(filter -fsanitize=% --coverage,$(CFLAGS_$(VARIANT))) -pthread \
  -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# ---- rooms: sources by wildcard; a room links with those it may see ----------
ROOMS := kernels proto base async obs files h2 work store rpc web net app lib cli

DIR_kernels := kernels
DIR_proto := proto proto/codec
$(foreach r,base async obs files h2 work store rpc web net app,$(eval DIR_$r := server/$r))
DIR_lib := client/lib
DIR_cli := client/cli

USES_kernels :=
USES_proto :=
USES_base :=
USES_async := base
USES_obs := base
USES_files := base
USES_h2 := base
USES_work := async base kernels
USES_store := async obs base proto kernels
USES_rpc := h2 work store files async obs base proto kernels
USES_web := store async obs base proto kernels
USES_net := h2 async obs base
USES_app := net web rpc h2 work store files async obs base proto kernels
USES_lib := base proto kernels
USES_cli := lib files base proto kernels

PKG_proto := jansson
PKG_files := jansson
PKG_async := libuv
PKG_net := libuv
PKG_app := libuv
PKG_h2 := libnghttp2
PKG_lib := libnghttp2
PKG_store := sqlite3
PKG_web := libmicrohttpd jansson
PKG_rpc := gnutls
PKG_cli := jansson
LIBS_proto := -lprotobuf-nanopb
LIBS_kernels := -lm

define room
SRC_$1 := $(foreach d,$(DIR_$1),$(wildcard $(d)/*.c))
OBJ_$1 := $$(SRC_$1:%.c=$(O)/%.o)
LINK_$1 := $(foreach u,$1 $(USES_$1),$(O)/$u.a)
LINKPKG_$1 := $(sort $(foreach u,$1 $(USES_$1),$(PKG_$u)))
LINKLIBS_$1 := $(foreach u,$1 $(USES_$1),$(LIBS_$u))
$(O)/$1.a: $$(OBJ_$1)
	@rm -f $$@
	@$(AR) rcs $$@ $$^
endef

PROTOS := $(wildcard proto/trit/v1/*.proto) proto/grpc/health/v1/health.proto \
  $(wildcard proto/google/rpc/*.proto)
PB_C := $(PROTOS:proto/%.proto=$(GEN)/%.pb.c)
PB_O := $(PROTOS:proto/%.proto=$(O)/gen/%.pb.o)

.PHONY: all
all: bins

$(foreach r,$(ROOMS),$(eval $(call room,$r)))
OBJ_proto += $(PB_O)
$(O)/proto.a: $(PB_O)

BINS := $(O)/tritd $(O)/trit $(O)/libtrit.so
.PHONY: bins
bins: $(BINS)

pkg_libs = $(if $1,$(shell pkg-config --libs $1))

$(O)/tritd: $(LINK_app)
	@echo "  LINK  $@"
	@$(CC) -pie -o $@ $(O)/app.a -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS_ALL) $(call pkg_libs,$(LINKPKG_app)) $(LINKLIBS_app)

$(O)/trit: $(LINK_cli)
	@echo "  LINK  $@"
	@$(CC) -pie -o $@ -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS_ALL) $(call pkg_libs,$(LINKPKG_cli)) $(LINKLIBS_cli)

$(O)/libtrit.so: $(LINK_lib) client/lib/libtrit.map
	@echo "  LINK  $@"
	@$(CC) -shared -o $@ -Wl,-soname,libtrit.so.$(SOVERSION) \
	  -Wl,--version-script=client/lib/libtrit.map -Wl,--whole-archive $(O)/lib.a \
	  -Wl,--no-whole-archive -Wl,--start-group $(filter-out $(O)/lib.a,$(LINK_lib)) -Wl,--end-group \
	  $(LDFLAGS_ALL) $(call pkg_libs,$(LINKPKG_lib)) $(LINKLIBS_lib)
	@ln -sf libtrit.so $(O)/libtrit.so.$(SOVERSION)

# ---- objects ------------------------------------------------------------------
# ISA flags: on exactly one object each. No -mfma anywhere.
ISA_avx2 := -mavx2 -mf16c
ISA_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vbmi -mavx512vbmi2 -mf16c
ifneq ($(VARIANT),arm64)
$(O)/kernels/avx2.o: ISA := $(ISA_avx2)
$(O)/kernels/avx512.o: ISA := $(ISA_avx512)
endif

$(O)/%.o: %.c Makefile | $(PB_C)
	@mkdir -p $(@D)
	@echo "  CC    $<"
	@$(CC) $(CFLAGS_ALL) $(ISA) -MMD -MP -c -o $@ $<

$(O)/gen/%.o: $(GEN)/%.c Makefile
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -Wno-conversion -Wno-pedantic -MMD -MP -c -o $@ $<

$(GEN)/%.pb.c: proto/%.proto $(wildcard proto/trit/v1/*.options proto/google/rpc/*.options)
	@mkdir -p $(GEN)
	@echo "  PROTO $<"
	@cd proto && /usr/bin/python3 /usr/bin/nanopb_generator.py -q -I . -D $(abspath $(GEN)) $*.proto

-include $(shell [ -d $(O) ] && find $(O) -name '*.d')

# ---- unit tests: tests/unit/<room>/test_*.c links with that room ------------------
TEST_SRC := $(wildcard tests/unit/*/test_*.c)
TESTS := $(TEST_SRC:%.c=$(O)/%)
TESTLIB_SRC := $(wildcard tests/lib/*.c)
TESTLIB := $(O)/testlib.a
$(TESTLIB): $(TESTLIB_SRC:%.c=$(O)/%.o)
	@$(AR) rcs $@ $^

define unit_rule
$(O)/tests/unit/$1/%: $(O)/tests/unit/$1/%.o $(TESTLIB) $(LINK_$1)
	@echo "  LINK  $$@"
	@$(CC) -o $$@ $$< -Wl,--start-group $(TESTLIB) $(LINK_$1) -Wl,--end-group $(LDFLAGS_ALL) \
	  $$(call pkg_libs,$(LINKPKG_$1)) $(LINKLIBS_$1) $$(file <$$(wildcard tests/unit/$1/LDFLAGS))
endef
$(foreach r,$(ROOMS),$(eval $(call unit_rule,$r)))

# make unit ROOM=store runs one room's tests.
ROOM ?= *
.PHONY: unit
unit: $(filter $(O)/tests/unit/$(if $(filter *,$(ROOM)),%,$(ROOM)/%),$(TESTS))
	@for t in $^; do $(RUNNER) $$t || exit 1; done

.SECONDARY:

.PHONY: clean
clean:
	rm -rf $(BUILD)
