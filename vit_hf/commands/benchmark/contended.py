"""Images a second of a small transformer of torch's own, trained for some seconds. Run by its path in a process of its
own, so that the environment alone says how torch's threads wait: python contended.py SECONDS
"""

import sys
import time

import torch
from torch import nn

BATCH, TOKENS, WIDTH = 16, 17, 64


def images_per_second(seconds: float) -> float:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(WIDTH, nhead=4, dim_feedforward=4 * WIDTH, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, num_layers=4, enable_nested_tensor=False)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    tokens = torch.randn(BATCH, TOKENS, WIDTH)

    def step() -> None:
        model(tokens).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    steps, start = 0, time.perf_counter()
    while (passed := time.perf_counter() - start) < seconds:
        step()
        steps += 1
    return steps * BATCH / passed


if __name__ == "__main__":
    print(images_per_second(float(sys.argv[1])))
