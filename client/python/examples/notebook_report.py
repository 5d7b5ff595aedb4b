# SPDX-License-Identifier: Apache-2.0
# %% [markdown]
# # What ternary weights look like
# Open this file as a notebook (VS Code and Jupytext read the cells), or run it as a script:
# then the plots become PNG files. It needs a daemon at TRITD_ADDRESS, and matplotlib.

# %%
import numpy as np

import trit

client = trit.Client(timeout=60)
weights = np.random.default_rng(0).standard_normal((256, 512)).astype(np.float32)
projection = client.project(weights, encoding="int8")
report = projection.report
assert report is not None
report  # a table

# %%
axes = report.plot(projection.scales)
axes[0].figure.savefig("layer.png")

# %% [markdown]
# A whole model: a state dict here, or a file or folder.

# %%
model = {f"layers.{i}.weight": (weights * (1 + i)).astype(np.float32) for i in range(4)}
result = client.checkpoint.project(model, encoding="int8")
result  # a table with one row a layer

# %%
axes = result.plot()
axes[0].figure.savefig("model.png")
print(result)
