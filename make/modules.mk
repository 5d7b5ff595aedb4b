# The modules: their folders, the modules that each may use, and their libraries.
# A module links with exactly those; tests/tools/lint.py compares includes with USES_.

MODULES := kernels proto json base async obs access files checkpoint drive tls memory h2 work health shards store layers grpc services web net app lib cli

DIR_kernels := kernels kernels/ternary kernels/linear
DIR_proto := proto proto/codec
$(foreach r,json base async obs access files drive tls memory h2 work health shards store layers grpc web net app,$(eval DIR_$r := server/$r))
DIR_checkpoint := checkpoint
DIR_services := server/services server/services/ternary server/services/layers server/services/checkpoints
DIR_lib := client/lib
DIR_cli := client/cli

USES_kernels :=
USES_proto :=
USES_base :=
USES_json := base
USES_async := base
USES_obs := base
USES_access := base
USES_files := base json
USES_checkpoint := files base proto kernels json
USES_drive := checkpoint files base proto kernels json
USES_tls := base
USES_memory := async obs base proto
USES_h2 := base
USES_work := async base kernels proto
USES_health := base proto
USES_shards := base kernels
USES_store := shards health async obs base proto kernels
USES_layers := obs base kernels proto
USES_grpc := h2 async obs base proto
USES_services := grpc memory h2 layers work store shards health drive checkpoint files async obs base proto kernels json
USES_web := json access tls store shards health async obs base proto kernels
USES_net := tls memory h2 async obs base proto
USES_app := net web services access grpc tls memory h2 layers work store shards health drive checkpoint files async obs base proto kernels json
USES_lib := tls drive checkpoint files base proto kernels json
USES_cli := lib tls drive checkpoint files base proto kernels json

PKG_json := jansson
PKG_proto := jansson
PKG_files := jansson
PKG_checkpoint := jansson
PKG_drive := jansson
PKG_async := libuv
PKG_net := libuv
PKG_app := libuv
PKG_h2 := libnghttp2
PKG_lib := libnghttp2 jansson
PKG_store := sqlite3
PKG_web := libmicrohttpd jansson libxxhash zlib
PKG_access := gnutls
PKG_tls := gnutls
PKG_grpc := zlib
PKG_services := gnutls libxxhash jansson
PKG_cli := jansson gnutls
LIBS_proto := -lprotobuf-nanopb
LIBS_kernels := -lm
LIBS_health := -lm

# The path of a call, optimized over its files where tritd is linked (make/variants.mk).
WHOLE_MODULES := app net services grpc memory h2 work async obs base proto
$(O)/kernels/layout.o: OPTIMIZE = $(WHOLE_OBJECT)

pkg_libs = $(if $1,$(shell pkg-config --libs $1))

define module
SRC_$1 := $(foreach d,$(DIR_$1),$(wildcard $(d)/*.c))
OBJ_$1 := $$(SRC_$1:%.c=$(O)/%.o)
LINK_$1 := $(foreach u,$1 $(USES_$1),$(O)/$u.a)
PKGS_$1 := $(sort $(foreach u,$1 $(USES_$1),$(PKG_$u)))
LIBS_ALL_$1 = $$(call pkg_libs,$$(PKGS_$1)) $(foreach u,$1 $(USES_$1),$(LIBS_$u))
$(if $(filter $1,$(WHOLE_MODULES)),$$(OBJ_$1): OPTIMIZE = $$(WHOLE_OBJECT))
$(O)/$1.a: $$(OBJ_$1)
	@rm -f $$@
	@$(AR) qcs $$@ $$^
endef
