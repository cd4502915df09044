# capt: small Unix programs for image captioning. Targets: all check soak lint man schemas fuzz install demo deps bench help.
CONF ?= release
B := build/$(CONF)
PREFIX ?= /usr/local
DESTDIR ?=
CC ?= cc
Q := $(if $(V),,@)
say = $(if $(V),@:,@echo '  $(1)')
VERSION := $(shell cat VERSION)
PKGS := libjpeg lmdb jansson libxxhash zlib minizip
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lunistring -lstemmer

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter
ifeq ($(CONF),fuzz)
WARN += -Wno-unknown-pragmas # of gcc
endif
ifdef CI
WARN += -Werror
endif
CFLAGS_release := -O3 -g -fno-math-errno -ffp-contract=off
CFLAGS_debug := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -ffp-contract=off
CFLAGS_real64 := -O2 -g -DCAPT_REAL64 -ffp-contract=off
CFLAGS_fuzz := -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -ffp-contract=off
CFLAGS_bf16 := $(CFLAGS_release) -DCAPT_EMULATE_BF16
ifeq ($(filter $(CONF),release debug real64 fuzz bf16),)
$(error CONF is release, debug, real64, fuzz or bf16, not $(CONF))
endif
CPPFLAGS += -D_GNU_SOURCE -DCAPT_VERSION='"$(VERSION)"' -Ilib -Ibin -I. -I$(B)/gen $(PKG_CFLAGS)
CFLAGS ?=
ALL_CFLAGS = -std=gnu11 $(CFLAGS_$(CONF)) $(WARN) $(CFLAGS)
LDLIBS += $(PKG_LIBS) -ldl -lpthread -lm

LAYERS := base text metric image record store backend backend/ref backend/cpu tensor op nn model decode data train eval
LIB_SRC := $(foreach d,$(LAYERS),$(wildcard lib/$(d)/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
COMMON_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard bin/common/*.c))
PROG_COMMON := $(B)/common.a
PROGS := $(patsubst bin/%.c,%,$(wildcard bin/*.c))
PROG_BIN := $(PROGS:%=$(B)/bin/%)
UNIT_SRC := $(wildcard tests/unit/*.c)
FUZZ_TARGETS := $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/main.c,$(wildcard tests/fuzz/*.c)))
FUZZ_BIN := $(FUZZ_TARGETS:%=$(B)/fuzz/%)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)

all: $(B)/libcapt.a $(PROG_BIN) $(B)/libcapt.pc

# everything is rebuilt when the flags change
$(B)/flags: FORCE
	@mkdir -p $(@D); echo '$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDLIBS)' | cmp -s - $@ || echo '$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(LDLIBS)' >$@
FORCE:

$(B)/bin/common/help.o: private CPPFLAGS += -DCAPT_BUILD_FLAGS='"$(strip $(CFLAGS_$(CONF)) $(CFLAGS))"'

# kernels for one instruction set: the suffix of the file name picks the flags
ISA_avx512bf16 := -mavx512f -mavx512bw -mavx512vl -mavx512dq $(if $(filter bf16,$(CONF)),-include tests/emulate_bf16.h,-mavx512bf16) -mfma -mf16c -mprefer-vector-width=512
ISA_amx := $(ISA_avx512bf16) $(if $(filter bf16,$(CONF)),-include tests/emulate_amx.h,-mamx-tile -mamx-bf16)
ISA_avx512vnni := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx512vbmi -mfma -mprefer-vector-width=512
ISA_avx512 := -mavx512f -mavx512bw -mavx512vl -mavx512dq -mfma -mf16c -mprefer-vector-width=512
ISA_avx2 := -mavx2 -mfma -mf16c
isa = $(ISA_$(lastword $(subst _, ,$(basename $(notdir $(1))))))

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC $<)
	$(Q)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) $(call isa,$<) -MMD -MP -c -o $@ $<

$(B)/libcapt.a: $(LIB_OBJ)
	@rm -f $@; $(AR) rcs $@ $(LIB_OBJ)

$(PROG_COMMON): $(COMMON_OBJ)
	@rm -f $@; $(AR) rcs $@ $(COMMON_OBJ)

$(B)/bin/%: $(B)/bin/%.o $(PROG_COMMON) $(B)/libcapt.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(PROG_COMMON) $(B)/libcapt.a $(LDLIBS)

$(B)/unit/%: $(B)/tests/unit/%.o $(PROG_COMMON) $(B)/libcapt.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(PROG_COMMON) $(B)/libcapt.a $(LDLIBS) -lcmocka

# fuzz targets: with libFuzzer under CONF=fuzz, else a main that replays files
FUZZ_MAIN := $(if $(filter fuzz,$(CONF)),,$(B)/tests/fuzz/main.o)
$(B)/fuzz/%: $(B)/tests/fuzz/%.o $(FUZZ_MAIN) $(PROG_COMMON) $(B)/libcapt.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_CFLAGS) $(if $(FUZZ_MAIN),,-fsanitize=fuzzer) $(LDFLAGS) -o $@ $< $(FUZZ_MAIN) $(PROG_COMMON) $(B)/libcapt.a $(LDLIBS)

# loaded before the C library by the reliability tests
$(B)/shim.so: tests/reliability/shim.c $(B)/flags
	$(call say,LD $@)
	$(Q)$(CC) -O2 -g -D_GNU_SOURCE $(WARN) -shared -fPIC -o $@ $< -ldl

# each target for FUZZ_SECONDS from small inputs; what it finds lies in build/fuzz/found
FUZZ_SECONDS ?= 30
FUZZ_CC ?= $(shell command -v clang-14 || command -v clang)
fuzz: deps-build
	@[ -n "$(FUZZ_CC)" ] || { echo 'make fuzz needs clang with libFuzzer'; exit 1; }
	@+$(AGAIN) CONF=release all
	@+$(AGAIN) CONF=fuzz CC='$(FUZZ_CC)' fuzz-targets
	PATH=$(CURDIR)/build/release/bin:$$PATH tests/fuzz/seeds.sh build/fuzz/corpus
	@mkdir -p build/fuzz/found
	for t in $(FUZZ_TARGETS); do \
	    echo "== $$t"; \
	    build/fuzz/fuzz/$$t -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -malloc_limit_mb=256 -max_len=65536 -verbosity=0 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/found/$$t- build/fuzz/corpus/$$t || exit 1; \
	done
fuzz-targets: $(FUZZ_BIN)

$(B)/bench/%: $(B)/tests/bench/%.o $(B)/libcapt.a
	@mkdir -p $(@D)
	$(call say,LD $@)
	$(Q)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $< $(B)/libcapt.a $(LDLIBS)

# kernels, those of the lesser vector instruction sets (CAPT_CPU_ISA), then whole jobs, beside the machine's peak, one thread and two; ROWS="START-OF-A-NAME..." picks jobs alone, PEER=python3 runs PyTorch beside them
BENCH_THREADS ?= 1 2
bench: $(B)/bench/kernels $(B)/bench/jobs
	$(if $(ROWS),,for t in $(BENCH_THREADS); do \
	    $(B)/bench/kernels -t $$t || exit 1; \
	    for i in avx2 cblas portable; do CAPT_CPU_ISA=$$i $(B)/bench/kernels -t $$t 'linear f32' || exit 1; done; done)
	for t in $(BENCH_THREADS); do PEER='$(PEER)' $(B)/bench/jobs -t $$t $(ROWS) || exit 1; done
	$(if $(ROWS),,@+$(MAKE) --no-print-directory bench-images)

# from JPEG files to what an encoder reads, to captions, to features
BENCH_IMAGES ?= $(or $(CAPT_SHARED),../shared)/data/jpeg
bench-images: all $(addprefix $(B)/bench/,pictures captions featurize)
	@if ! ls '$(BENCH_IMAGES)'/*.jpg >/dev/null 2>&1; then \
	    echo 'benches of pictures: not run, no *.jpg in $(BENCH_IMAGES) (BENCH_IMAGES=FOLDER names another one)'; exit 0; fi; \
	set -ex; export PEER='$(PEER)'; \
	$(B)/bench/pictures '$(BENCH_IMAGES)'; \
	$(B)/bench/captions -t $(lastword $(BENCH_THREADS)) '$(BENCH_IMAGES)' $(B)/bench/weights; \
	$(B)/bench/featurize -t $(lastword $(BENCH_THREADS)) $(B)/bench/weights/encoder.safetensors '$(BENCH_IMAGES)'

$(B)/libcapt.pc: Makefile VERSION
	@mkdir -p $(@D)
	@printf 'prefix=%s\nName: capt\nDescription: image captioning toolkit\nVersion: %s\nCflags: -I$${prefix}/include/capt\nLibs: -L$${prefix}/lib -lcapt\nLibs.private: %s\n' '$(PREFIX)' '$(VERSION)' '$(LDLIBS)' >$@

# ---- Debian packages: to build, to test, to lint
DEPS := gcc make libc6-dev pkg-config libjpeg-dev liblmdb-dev libjansson-dev libxxhash-dev libunistring-dev \
    libstemmer-dev zlib1g-dev libminizip-dev
DEPS_CHECK := libcmocka-dev libopenblas0-pthread perl jq python3 python3-pil python3-jsonschema bash locales
DEPS_LINT := cppcheck shellcheck mandoc
DEPS_SLURM := slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge

# installs those of $(1) that are missing; silent when none is
define install_packages
@missing=; for p in $(1); do \
    dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$p"; \
done; \
if [ -z "$$missing" ]; then exit 0; fi; \
if ! command -v apt-get >/dev/null; then echo "not a Debian system; needed:$$missing"; exit 0; fi; \
echo "installing:$$missing"; \
if [ "$$(id -u)" = 0 ]; then as=; elif command -v sudo >/dev/null; then as=sudo; \
else echo "run as root: apt-get install$$missing" >&2; exit 1; fi; \
$$as env DEBIAN_FRONTEND=noninteractive sh -c "apt-get -qq update && apt-get -qq -y --no-install-recommends install$$missing >/dev/null"
endef

deps:
	$(call install_packages,$(DEPS) $(DEPS_CHECK) $(DEPS_LINT))
deps-build:
	$(call install_packages,$(DEPS))
deps-check:
	$(call install_packages,$(DEPS) $(DEPS_CHECK))
deps-lint:
	$(call install_packages,$(DEPS_LINT))
deps-slurm:
	$(call install_packages,$(DEPS_SLURM))

# a second make, because pkg-config answers only once the packages are there
AGAIN = $(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))

check: deps-check
	@+$(AGAIN) check-built

# gradients are compared with differences, and with PyTorch's, in double, whatever the rest is built in
GRAD_TEST := $(addprefix build/real64/unit/,grad_test model_test decode_test scst_test clip_test)
grad-test:
	@+$(MAKE) --no-print-directory CONF=real64 $(GRAD_TEST)

# the kernels for products of bf16 pairs, in software where the processor has none
BF16_TEST := $(addprefix build/bf16/unit/,cpu_test parity_test)
bf16-test:
	@+$(MAKE) --no-print-directory CONF=bf16 $(BF16_TEST)

check-built: all $(UNIT_BIN) $(FUZZ_BIN) $(B)/shim.so grad-test bf16-test
	CAPT_BIN=$(CURDIR)/$(B)/bin prove -e '' $(PROVE_FLAGS) $(filter-out %/unit/grad_test,$(UNIT_BIN)) $(GRAD_TEST) $(BF16_TEST) $(sort $(wildcard tests/*.t tests/cli/*.t)) $(RELIABILITY)

# what programs do on bad disks, bad files, bad days: with small numbers in `make check`, here with large ones (CONTRIBUTING.md)
RELIABILITY := $(sort $(wildcard tests/reliability/*.t))
soak: deps-check
	@+$(AGAIN) soak-built
soak-built: all $(FUZZ_BIN) $(B)/shim.so
	CAPT_SOAK=1 CAPT_BIN=$(CURDIR)/$(B)/bin prove -e '' --timer $(PROVE_FLAGS) $(SOAK)
	@+$(if $(FUZZ_CC),$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(SOAK_FUZZ),echo 'no clang: nothing was fuzzed')
SOAK ?= $(RELIABILITY)
SOAK_FUZZ ?= 3600

# the unit tests alone, in any CONF
check-unit: deps-check
	@+$(AGAIN) check-unit-built
check-unit-built: all $(UNIT_BIN)
	prove -e '' $(PROVE_FLAGS) $(UNIT_BIN)

# the toy pipeline as jobs of a Slurm of two nodes on this machine; where Slurm cannot run, only SLURM=required fails
check-slurm: deps-build
	@+$(AGAIN) all
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory deps-slurm || true
	@tests/slurm/check $(B) || { rc=$$?; [ $$rc = 77 ] && [ '$(SLURM)' != required ]; }

# the whole way on a toy data set; the programs use all processors, so one at a time
demo: deps-build
	@+$(AGAIN) all
	@+$(MAKE) --no-print-directory -f pipelines/toy.mk B=$(B) all
	@+$(MAKE) --no-print-directory -f pipelines/toy.mk B=$(B) show check

lint: deps-lint
	@+$(AGAIN) lint-code lint-shell lint-man check-schemas

# without the checks that guess at paths through several functions
CPPCHECK_OFF := missingIncludeSystem nullPointer nullPointerRedundantCheck arrayIndexOutOfBoundsCond legacyUninitvar invalidFunctionArg
lint-code:
	cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr $(CPPCHECK_OFF:%=--suppress=%) \
	    --error-exitcode=1 --include=tests/lint.h -DCAPT_VERSION='"x"' -Ilib -Ibin lib bin
lint-shell:
	shellcheck -x -S warning -e SC2209 $(filter-out tests/schema.t,$(wildcard tests/*.sh tests/*.t tests/cli/*.t)) tests/reliability/full.t tests/slurm/check $(shell grep -lE '^#!.*sh$$' pipelines/* .ci/* 2>/dev/null)
lint-man:
	$(if $(wildcard man/*.[1-8]),mandoc -T lint -W warning $(wildcard man/*.[1-8]),@:)

# ---- JSON Schemas of the records, printed by the programs themselves
SCHEMAS := caption hypothesis tag score log total difference error feature tensor metadata
schemas: $(B)/bin/coco-split
	@mkdir -p schemas
	for k in $(SCHEMAS); do $(B)/bin/coco-split --print-schema $$k >schemas/$$k.json || exit 1; done
check-schemas: $(B)/bin/coco-split
	for k in $(SCHEMAS); do $(B)/bin/coco-split --print-schema $$k | diff schemas/$$k.json - || exit 1; done

# ---- installation
BINDIR = $(DESTDIR)$(PREFIX)/bin
LIBDIR = $(DESTDIR)$(PREFIX)/lib
INCDIR = $(DESTDIR)$(PREFIX)/include/capt
MANDIR = $(DESTDIR)$(PREFIX)/share/man
COMPDIR = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
HEADERS = $(patsubst lib/%,%,$(filter-out %_priv.h,$(foreach d,$(LAYERS),$(wildcard lib/$(d)/*.h lib/$(d)/*.def))))
MAN = $(wildcard man/*.[1-8])

install: all
	install -d $(BINDIR) $(LIBDIR)/pkgconfig $(COMPDIR)
	$(if $(PROG_BIN),install -m 755 $(PROG_BIN) $(BINDIR))
	install -m 644 $(B)/libcapt.a $(LIBDIR)
	sed 's|^prefix=.*|prefix=$(PREFIX)|' $(B)/libcapt.pc >$(LIBDIR)/pkgconfig/libcapt.pc
	for h in $(HEADERS); do install -D -m 644 lib/$$h $(INCDIR)/$$h || exit 1; done
	for m in $(MAN); do install -D -m 644 $$m $(MANDIR)/man$${m##*.}/$${m##*/} || exit 1; done
	for p in $(PROGS); do $(B)/bin/$$p --complete bash >$(COMPDIR)/$$p || exit 1; done

uninstall:
	rm -f $(PROGS:%=$(BINDIR)/%) $(PROGS:%=$(COMPDIR)/%) $(LIBDIR)/libcapt.a $(LIBDIR)/pkgconfig/libcapt.pc
	for m in $(MAN); do rm -f $(MANDIR)/man$${m##*.}/$${m##*/}; done
	rm -rf $(INCDIR)

help:
	@echo 'make [all]         programs and library in build/$$CONF (CONF=release, debug, real64 or bf16; CI=1: -Werror)'
	@echo 'make check         installs what is missing, builds, runs all tests'
	@echo 'make check-unit    the unit tests alone; with CONF=debug under sanitizers'
	@echo 'make soak          the reliability tests with large numbers and an hour of every fuzz target: days; SOAK=FILE.. SOAK_FUZZ=SECONDS'
	@echo 'make check-slurm   the toy pipeline as jobs of a Slurm on this machine (root; SLURM=required: fail where it cannot run)'
	@echo 'make demo          builds, then trains, captions and scores a toy data set: at most 5 minutes, a page at the end'
	@echo 'make lint          cppcheck, shellcheck, mandoc'
	@echo 'make fuzz          every parser by libFuzzer, FUZZ_SECONDS=30 each (needs clang)'
	@echo 'make bench         kernels, whole jobs and pictures to captions (tests/bench/README.md); ROWS=NAME.. some jobs, PEER=python3 PyTorch beside them'
	@echo 'make bench-images  the last of them alone, on the pictures in BENCH_IMAGES'
	@echo 'make schemas       writes schemas/*.json; check-schemas compares them'
	@echo 'make deps          installs the Debian packages to build, test and lint'
	@echo 'make install       to PREFIX (/usr/local) under DESTDIR; uninstall takes it away'
	@echo 'make clean         removes build/'

-include $(shell find $(B) -name '*.d' 2>/dev/null)

clean:
	rm -rf build

.PHONY: all bench bench-images fuzz fuzz-targets clean FORCE deps deps-build deps-check deps-lint deps-slurm check check-built check-slurm schemas check-schemas lint lint-code lint-shell lint-man install uninstall help grad-test bf16-test demo check-unit check-unit-built soak soak-built
.SECONDARY:
