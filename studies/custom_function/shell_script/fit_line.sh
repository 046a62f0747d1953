#!/bin/bash
# Fit y = 2x + 1 with noise by gradient descent: fit_line.sh --lr 0.1 --momentum 0.5 --epochs 20 --seed 0
set -eu
while [ $# -gt 0 ]; do
  declare "${1#--}=$2"
  shift 2
done
awk -v lr="$lr" -v momentum="$momentum" -v epochs="$epochs" -v seed="$seed" '
function error(from, to,    i, sum) {
  for (i = from; i < to; i++) sum += (a * x[i] + b - y[i]) ^ 2
  return sum / (to - from)
}
BEGIN {
  srand(seed + 1)
  for (i = 0; i < 90; i++) { x[i] = 2 * rand() - 1; y[i] = 2 * x[i] + 1 + (rand() - 0.5) }
  for (epoch = 1; epoch <= epochs; epoch++) {
    da = db = 0
    for (i = 0; i < 30; i++) { r = a * x[i] + b - y[i]; da += r * x[i] / 15; db += r / 15 }
    va = momentum * va - lr * da; vb = momentum * vb - lr * db
    a += va; b += vb
    printf "{\"epoch\": %d, \"validation_mse\": %.9f}\n", epoch, error(30, 60)
  }
  printf "{\"test_mse\": %.9f}\n", error(60, 90)
}' >> "$L2RW_METRICS"
