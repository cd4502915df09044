# capt: small Unix programs for image captioning. Targets: all check lint man schemas fuzz install demo deps bench help.
CONF ?= release
B := build/$(CONF)
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
VERSION := $(shell cat VERSION)
PKGS := libjpeg lmdb jansson libxxhash
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lunistring

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter
ifdef CI
WARN += -Werror
endif
CFLAGS_release := -O3 -g -fno-math-errno -ffp-contract=off
CFLAGS_debug := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -ffp-contract=off
CFLAGS_real64 := -O2 -g -DCAPT_REAL64 -ffp-contract=off
ifeq ($(filter $(CONF),release debug real64),)
$(error CONF is release, debug or real64, not $(CONF))
endif
CPPFLAGS += -D_GNU_SOURCE -DCAPT_VERSION='"$(VERSION)"' -Ilib -Ibin -I. -I$(B)/gen $(PKG_CFLAGS)
CFLAGS ?=
ALL_CFLAGS = -std=gnu11 $(CFLAGS_$(CONF)) $(WARN) $(CFLAGS)
LDLIBS += $(PKG_LIBS) -ldl -lpthread -lm

LAYERS := base text metric image record store backend backend/ref backend/cpu tensor op nn model decode data train eval
LIB_SRC := $(foreach d,$(LAYERS),$(wildcard lib/$(d)/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
PROG_COMMON := $(patsubst %.c,$(B)/%.o,$(wildcard bin/common/*.c))
PROGS := $(patsubst bin/%.c,%,$(wildcard bin/*.c))
PROG_BIN := $(PROGS:%=$(B)/bin/%)
UNIT_SRC := $(wildcard tests/unit/*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)

all: $(B)/libcapt.a $(PROG_BIN) $(B)/libcapt.pc

# everything is rebuilt when the flags change
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDLIBS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDLIBS)' >$@
FORCE:

$(B)/bin/common/help.o: CPPFLAGS += -DCAPT_BUILD_FLAGS='"$(strip $(CFLAGS_$(CONF)) $(CFLAGS))"'

# kernels for one instruction set: the suffix of the file name picks the flags
ISA_avx512bf16 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512bf16 -mfma -mf16c -mprefer-vector-width=512
ISA_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c -mprefer-vector-width=512
ISA_avx2 := -mavx2 -mfma -mf16c
isa = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $(1))))))

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(call isa,$<) -MMD -MP -c -o $@ $<

$(B)/libcapt.a: $(LIB_OBJ)
	@rm -f $@; $(AR) rcs $@ $(LIB_OBJ)

$(B)/bin/%: $(B)/bin/%.o $(PROG_COMMON) $(B)/libcapt.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(PROG_COMMON) $(B)/libcapt.a $(LDLIBS)

$(B)/unit/%: $(B)/tests/unit/%.o $(PROG_COMMON) $(B)/libcapt.a
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(PROG_COMMON) $(B)/libcapt.a $(LDLIBS) -lcmocka

$(B)/libcapt.pc: Makefile VERSION
	@mkdir -p $(@D)
	@printf 'prefix=%s\nName: capt\nDescription: image captioning toolkit\nVersion: %s\nCflags: -I$${prefix}/include/capt\nLibs: -L$${prefix}/lib -lcapt\nLibs.private: %s\n' '$(PREFIX)' '$(VERSION)' '$(LDLIBS)' >$@

-include $(shell find $(B) -name '*.d' 2>/dev/null)

clean:
	rm -rf build

.PHONY: all clean FORCE
.SECONDARY:
