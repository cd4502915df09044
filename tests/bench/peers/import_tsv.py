"""A Python importer of bottom-up TSV files: base64, numpy, lmdb. import_tsv.py DTYPE FILE OUT

Keeps what vinvl-import keeps (features as DTYPE, boxes as float32, checked to be finite), 128 images a transaction, each synced."""
import base64
import sys

import lmdb
import numpy as np

dtype, path, out = sys.argv[1], sys.argv[2], sys.argv[3]
env = lmdb.open(out, subdir=False, map_size=1 << 40, lock=False)
txn, batch = env.begin(write=True), 0
with open(path, "rb", buffering=1 << 20) as f:
    for line in f:
        key, w, h, n, boxes, features = line.split(b"\t")
        boxes = np.frombuffer(base64.b64decode(boxes), dtype=np.float32).reshape(int(n), 4)
        x = np.frombuffer(base64.b64decode(features), dtype=np.float32).reshape(int(n), -1)
        if not np.isfinite(x).all() or not np.isfinite(boxes).all():
            raise SystemExit("%s: not finite" % key)
        txn.put(key, b"%s %s %s " % (w, h, n) + boxes.tobytes() + x.astype(dtype).tobytes())
        batch += 1
        if batch == 128:
            txn.commit()
            txn, batch = env.begin(write=True), 0
txn.commit()
env.sync(True)
env.close()
