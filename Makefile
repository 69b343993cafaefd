# make setup: .venv with everything, by pip.   make train: train on the embedded sample.
# make test: the fast tests.                   make test-all: those and the slow ones, as in CI.
# make test-long: the others.
# make study-color-spaces, study-global-features, study-optimizers, study-rerun, study-style,
#   study-backbones, study-objectives, study-recipes: experiments/.
# make starter, pictures: the bundled model, and what shows it.
# make benchmark: experiments/speed, with nothing else running.   make gpu: all of it on a GPU.
# make lint: ruff and types.                   make lower-bounds: the oldest allowed dependencies.
# make docs: the documentation, as a site in site/.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST := $(VENV)-oldest

# Compiled modules are kept: else every process would compile torch and Lightning again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup train test test-all test-long lint docs oldest lower-bounds clean \
	study-color-spaces study-global-features study-optimizers study-rerun study-style study-lite0 \
	study-backbones study-objectives study-recipes starter pictures benchmark gpu

setup: $(VENV)/installed

# torch and torchvision first and together, so that pip takes a pair that fits. What is imported is
# compiled then: compiling all of it would take half a minute. torch is imported once for that, before
# several processes would each do it, and before the oldest environment links to it.
PIP := -m pip install --quiet --no-compile --disable-pip-version-check

$(VENV)/torch:
	@echo "Setting up $(VENV): PyTorch is large, this takes some minutes."
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))" || \
		{ echo "irodori needs Python 3.11 to 3.13: make PYTHON=python3.12 …" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) torch torchvision
	$(BIN)/python -c "import torch, torchvision"
	touch $@

$(VENV)/installed: pyproject.toml $(VENV)/torch
	$(BIN)/python $(PIP) --editable '.[dev]'
	touch $@

train: setup
	$(BIN)/python train.py experiment=lab_alpha1

# A test a core: most wait for processes that they start, and none has work for more than a thread.
# tests/conftest.py orders them for `worksteal`.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --dist worksteal --durations 15

test: setup
	$(PYTEST) -m "not slow and not long"

test-all: setup
	$(PYTEST) -m "not long"

test-long: setup
	$(PYTEST) -m long

# The studies: a run a core. Interrupted, or with runs missing, the same command goes on.
# LOGGER=wandb logs the runs, too.
JOBS ?= $(shell nproc)
LOGGER ?= csv
STUDIES := runs/studies
SWEEP = OMP_NUM_THREADS=1 $(BIN)/python train.py -m logger=$(LOGGER) hydra.launcher.jobs=$(JOBS) \
	hydra.sweep.dir=$(STUDIES)/$(1)
COMPARE = $(BIN)/irodori compare $(2) --output experiments/$(1)

# The paper's comparisons, on the photographs in the folder PHOTOGRAPHS. Pictures are the sample's,
# which may be shown here.
PICTURES = $(BIN)/python experiments/color_spaces/pictures.py experiments/$(1)/pictures.jpg
LAB := $(addprefix $(STUDIES)/color_spaces/,0 1)
study-color-spaces: setup
	$(call SWEEP,color_spaces) study=photographs experiment=lab_alpha1 color_space=lab,yuv,rgb seed=0,1
	$(call COMPARE,color_spaces,$(STUDIES)/color_spaces) --pictures 0
	$(call PICTURES,color_spaces) lab=$(STUDIES)/color_spaces/0 yuv=$(STUDIES)/color_spaces/2 \
		rgb=$(STUDIES)/color_spaces/4

study-global-features: study-color-spaces
	$(call SWEEP,global_features) study=photographs experiment=lab_alpha0,lab_baseline seed=0,1
	$(call COMPARE,global_features,$(LAB) $(STUDIES)/global_features) --pictures 0
	$(call PICTURES,global_features) 'α = 1=$(firstword $(LAB))' \
		'α = 0=$(STUDIES)/global_features/0' baseline=$(STUDIES)/global_features/2

study-optimizers: study-color-spaces
	$(call SWEEP,adadelta) study=photographs experiment=lab_alpha1 optimizer=adadelta scheduler=constant
	$(call COMPARE,optimizers,$(LAB) $(STUDIES)/adadelta) --pictures 0

# The same run again: the same bits.
study-rerun: study-color-spaces
	$(call SWEEP,rerun) study=photographs experiment=lab_alpha1
	$(BIN)/python experiments/color_spaces/same_bits.py $(firstword $(LAB)) $(STUDIES)/rerun/0

# Those on the embedded sample.
FOLDS := data.fold=0,1,2,3,4

study-style: setup
	$(call SWEEP,style) study=sample data.fold=0 experiment=lab_alpha1
	$(BIN)/python experiments/style/grid.py $(STUDIES)/style/0/checkpoints/last.ckpt

# Networks of different speed: four minutes a run, judged at equal time and at equal steps.
UNTRAINED := encoder.pretrained=false encoder.lr_scale=1 encoder.freeze_batch_norm=false \
	optimizer.lr=0.001
OTHERS := resnet18,resnet50,convnext_tiny,mobilenetv4_conv_small,pvt_v2_b0,tf_efficientnet_lite0

study-lite0: setup
	$(call SWEEP,lite0) study=anytime $(FOLDS) experiment=lite0_pretrained

study-backbones: study-lite0
	$(call SWEEP,backbone_paper) study=anytime $(FOLDS) experiment=lab_alpha1 trainer.max_epochs=16
	$(call SWEEP,lite0_untrained) study=anytime $(FOLDS) experiment=lite0_pretrained $(UNTRAINED)
	$(call COMPARE,backbones,$(addprefix $(STUDIES)/,lite0 lite0_untrained backbone_paper))
	$(call SWEEP,presets) study=anytime data.fold=0 experiment=lite0_pretrained backbone=$(OTHERS) \
		$(UNTRAINED) trainer.max_epochs=1 trainer.check_val_every_n_epoch=1 'callbacks=[default]' \
		callbacks.pictures=null
	$(BIN)/python experiments/backbones/presets.py $(STUDIES)/presets

study-objectives: study-lite0
	$(call SWEEP,objectives) study=anytime $(FOLDS) experiment=lite0_pretrained \
		objective=huber,classes
	$(call COMPARE,objectives,$(addprefix $(STUDIES)/,lite0 objectives))

# Recipes of the bundled model, shortened, side by side.
RECIPES = $(call SWEEP,$(1)) study=recipes experiment=starter data=photographs
COLORFUL := objective=colorful objective.weight=0.02 seed=0,1
study-recipes: setup
	$(call RECIPES,recipe_objectives) objective=huber,mse seed=0,1
	$(call RECIPES,recipe_others) objective=classes,perceptual
	$(call RECIPES,recipe_colorful) $(COLORFUL)
	$(BIN)/irodori compare $(addprefix $(STUDIES)/recipe_,objectives others colorful) --pictures 0 \
		--output experiments/starter/recipes
	$(call RECIPES,recipe_lite2) $(COLORFUL) backbone=tf_efficientnet_lite2
	$(call RECIPES,recipe_queries) $(COLORFUL) decoder=queries
	$(call RECIPES,recipe_frozen) $(COLORFUL) encoder.freeze_steps=-1
	$(BIN)/irodori compare $(addprefix $(STUDIES)/recipe_,colorful lite2 queries frozen) --pictures 0 \
		--output experiments/starter/networks

# The bundled model, of the photographs in the folder PHOTOGRAPHS: first with skip connections only,
# then with color queries. A compiled network trains faster, but needs a C++ compiler.
STARTER := src/irodori/inference/starter/starter.safetensors
starter: setup
	$(BIN)/python train.py experiment=starter data=photographs logger=$(LOGGER) decoder=skips \
		augmentation.crop=192 optimizer.lr=0.002 encoder.freeze_steps=400 hints.every=4 \
		trainer.max_epochs=12 hydra.run.dir=runs/starter_skips
	$(BIN)/python train.py experiment=starter data=photographs logger=$(LOGGER) compile=default \
		init=runs/starter_skips/checkpoints/last.ckpt hydra.run.dir=runs/starter
	$(BIN)/irodori export --checkpoint runs/starter/checkpoints/last.ckpt --format safetensors \
		--half --saturation 1.1 --overwrite --output $(STARTER)

pictures: setup
	$(BIN)/python experiments/starter/show.py
	$(BIN)/python experiments/starter/weaknesses.py
	$(BIN)/python experiments/starter/show_demo.py

benchmark: setup
	$(BIN)/python experiments/speed/startup.py
	$(BIN)/python experiments/speed/loader.py
	$(BIN)/python experiments/speed/training.py

# NVML says whether there is a GPU, so that processes can be forked afterwards.
gpu: setup
	PYTORCH_NVML_BASED_CUDA_CHECK=1 $(BIN)/python experiments/speed/gpu.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# It executes the notebook, too; EXECUTE_NOTEBOOKS=0 doesn't. The variable silences an advertisement.
docs: setup
	NO_MKDOCS_2_WARNING=1 OMP_NUM_THREADS=1 $(BIN)/mkdocs build --quiet --strict

# The oldest allowed versions in an environment of their own, with links to torch's files.
SITE = $$($(1)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))")
LINK := import os, shutil, sys; \
	shutil.copytree(*sys.argv[1:], copy_function=os.link, dirs_exist_ok=True)

oldest: $(OLDEST)/linked

$(OLDEST)/linked: $(VENV)/torch
	$(PYTHON) -m venv --clear --without-pip $(OLDEST)
	$(BIN)/python -c "$(LINK)" $(call SITE,$(VENV)) $(call SITE,$(OLDEST))
	touch $@

lower-bounds: oldest
	$(BIN)/python tests/lower_bounds.py pins > $(OLDEST)/pins.txt
	$(OLDEST)/bin/python $(PIP) --requirement $(OLDEST)/pins.txt
	$(OLDEST)/bin/python tests/lower_bounds.py check
	rm -rf $(OLDEST)/run
	PYTHONPATH=src $(OLDEST)/bin/python -W ignore train.py experiment=quick hydra.run.dir=$(OLDEST)/run

clean:
	rm -rf $(VENV) $(OLDEST) site .mypy_cache .pytest_cache .ruff_cache
