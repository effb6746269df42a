# open_clip's training step: pairs/s of the median step on random images that lie on the card and full-length captions.
#   bench-open-clip.py MODEL BATCH eager|compiled STEPS [ckpt] [wait]
# ckpt: with gradient checkpointing; wait: after its warm-up, until /tmp/go-MODEL is there (compiling takes minutes).
import os, statistics as st, sys, time
import torch
sys.path.insert(0, "/tmp/site")
import open_clip
from open_clip.loss import ClipLoss
name, batch, mode, steps, ckpt = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), "ckpt" in sys.argv
torch.backends.cuda.matmul.allow_tf32 = True; torch.backends.cudnn.allow_tf32 = True
torch.manual_seed(0)
model = open_clip.create_model(name, precision="amp_bf16", device="cuda", output_dict=True)
model.train()
if ckpt: model.set_grad_checkpointing()
loss = ClipLoss()
decay = [p for n, p in model.named_parameters() if p.ndim >= 2]; rest = [p for n, p in model.named_parameters() if p.ndim < 2]
opt = torch.optim.AdamW([{"params": rest, "weight_decay": 0.}, {"params": decay, "weight_decay": .2}], lr=1e-4, betas=(.9, .98), eps=1e-6)
f = torch.compile(model) if mode == "compiled" else model
images = torch.randn(batch, 3, 224, 224, device="cuda")
texts = torch.randint(1, 49405, (batch, 77), device="cuda"); texts[:, -1] = 49407
def step():
    opt.zero_grad()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        o = f(images, texts); l = loss(**o)
    l.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    with torch.no_grad(): model.logit_scale.clamp_(0, 4.6052)
    return l
t0 = time.time()
try:
    for _ in range(3): l = step()
    torch.cuda.synchronize(); warm = time.time() - t0
    if "wait" in sys.argv:
        print("WARM", flush=True)
        while not os.path.exists(f"/tmp/go-{name}"): time.sleep(0.2)
    times = []
    for _ in range(steps):
        t = time.time(); l = step(); torch.cuda.synchronize(); times.append(time.time() - t)
    m = st.median(times)
    print(f"PEER {name} batch {batch} {mode}{' checkpointed' if ckpt else ''}: {batch/m:.0f} pairs/s, {m*1e3:.1f} ms, {torch.cuda.max_memory_allocated()/2**30:.1f} GiB, warm-up {warm:.0f} s, loss {l.item():.4f}", flush=True)
except torch.OutOfMemoryError:
    print(f"PEER {name} batch {batch} {mode}{' checkpointed' if ckpt else ''}: out of memory", flush=True)
