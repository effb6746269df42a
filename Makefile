# Two commands do everything: make demo, make test. Both install what is missing first (scripts/setup).
SWIFT_FLAGS = -c release --explicit-target-dependency-import-check error
PEERS ?= $(or $(DIPTYCH_CACHE),$(HOME)/.cache/diptych)/peers
TORCH ?= torch==2.13.0+cpu torchvision==0.28.0

.PHONY: build demo test lint faults cases fuzz goldens peers protocols bench-peers peers-environment clean

build: setup
	swift build $(SWIFT_FLAGS) --product diptych

.PHONY: setup
setup:
	@scripts/setup

# What several processes need: Open MPI.
.PHONY: mpi ranks
mpi:
	@scripts/setup --mpi

# Several processes over mpirun: the same bits, and what happens when one fails.
ranks: build mpi
	scripts/check-ranks

# Every CUDA kernel for four architectures, by NVRTC, without a GPU.
.PHONY: kernels cuda-check
kernels: build
	scripts/check-kernels

# On a machine with an NVIDIA GPU: every operation, ten steps, the sanitizer, bench (docs/cuda.md).
cuda-check: setup
	scripts/cuda-check .build/cuda-check
	sh .build/cuda-check/run.sh .build/cuda-check/logs

demo: build
	@scripts/demo

test: setup
	swift test $(SWIFT_FLAGS)

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Examples

# Kills, damage, changed inputs, limits, closed streams, hostile files: under 10 minutes; FAULTS=--short takes a sample.
faults: build
	scripts/check-faults $(FAULTS)

# Awkward inputs with what is right for each, in the folder CASES.
cases: build
	scripts/check-cases $(CASES)

# Mutated inputs to every reader, for SECONDS in all.
SECONDS ?= 60
fuzz: setup
	scripts/fuzz --seconds $(SECONDS)

# The golden values under Tests/Goldens, made by the peers themselves.
goldens: peers-environment
	$(PEERS)/bin/python scripts/make-goldens

# The checks both ways between this build and the peers. MODELS: model folders to load in open_clip, too.
peers: build peers-environment
	$(PEERS)/bin/python scripts/check-peers $(MODELS)

# ImageNet's 80,000 prompts and COCO retrieval beside CLIP_benchmark. IMAGENET: a shard of photos with classes, COCO: one with captions.
protocols: build peers-environment
	$(PEERS)/bin/python scripts/check-protocols $(IMAGENET) $(COCO)

# Speed and memory in turn with the peers, into docs/benchmarks.md. CAPTIONS: a file, PHOTOS: a folder, SHARDS: Flickr8k's.
bench-peers: build peers-environment
	$(PEERS)/bin/python scripts/bench-peers $(if $(CAPTIONS),--captions $(CAPTIONS)) $(if $(PHOTOS),--photos $(PHOTOS)) \
		$(if $(SHARDS),--shards '$(SHARDS)')

peers-environment:
	@[ -x $(PEERS)/bin/python ] || python3 -m venv $(PEERS)
	@$(PEERS)/bin/pip install --quiet $(TORCH) open_clip_torch==3.3.0 timm==1.0.31 transformers==5.23.0 \
		clip-benchmark==1.6.2 sentencepiece protobuf pillow

clean:
	rm -rf .build
