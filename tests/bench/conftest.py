from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bench.schema.machine import Gpu, Machine, Software
from bench.schema.parity import ParityResult
from bench.schema.report import SCHEMA, Report
from bench.schema.run import Run, Settings, Workload

MakeReport = Callable[..., Report]

# Process medians in ms as measured on a small virtual machine; rounds lie a percent or two around them.
MEDIANS = {
    "jax": (0.82, 0.79, 0.85),
    "tensorflow": (1.72, 1.65, 1.75),
    "torch": (3.04, 3.11, 3.30),
}
TEST_RMSE = {"jax": 0.25776, "tensorflow": 0.25777, "torch": 0.25775}
STAGES = ("forward", "gradient", "step 1", "step 10", "epoch 1", "epoch 5", "rmse")
ENVELOPES = (2e-8, 3e-9, 4e-8, 3e-7, 4e-5, 5e-4, 3e-6)


def make_runs(backend: str, device: str, medians: Sequence[float], rmse: float) -> list[Run]:
    return [
        Run(
            backend=backend,
            device=device,
            loop="fit",
            process=process,
            seed=process % 3,
            status="ok",
            compile_mode={"jax": "xla", "torch": "eager"}.get(backend, "graph"),
            device_name="AMD EPYC" if device == "cpu" else "NVIDIA H100",
            threads=2,
            import_s=3.1,
            data_s=0.01,
            build_s=0.4,
            first_step_s=0.9,
            train_s=1.5,
            evaluate_s=0.2,
            predict_s=0.1,
            fit_setup_ms=[30.0, 31.0],
            warmup_ms=[median * 1.4, median],
            steady=True,
            steps_per_round=80,
            step_time_ms=[median * factor for factor in (0.99, 1.0, 1.0, 1.0, 1.02)],
            turns=[process * 5 + turn for turn in range(5)],
            train_rmse=[0.2809, 0.2379, 0.2329, 0.2298, 0.2268],
            test_rmse=rmse + 1e-4 * (process % 3 - 1),
            peak_rss_mib=850.0,
            log=f"logs/{backend}-{process}.log",
        )
        for process, median in enumerate(medians)
    ]


def make_parity(backends: Sequence[str], device: str = "cpu") -> list[ParityResult]:
    return [
        ParityResult(
            a=f"{backend}/{device}/fit",
            b="oracle",
            stage=stage,
            rms=envelope * 0.4,
            max_abs=envelope * 2,
            envelope=envelope,
            verdict="within",
        )
        for backend in backends
        for stage, envelope in zip(STAGES, ENVELOPES, strict=True)
    ]


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    """Builds a realistic report; medians are process medians in ms by backend, or by (backend, device)."""

    def build(
        medians: dict[str | tuple[str, str], Sequence[float]] | None = None,
        *,
        rmse: dict[str, float] | None = None,
        parity: list[ParityResult] | None = None,
        extra_runs: Sequence[Run] = (),
        threads: int = 2,
        cpu_model: str = "AMD EPYC 9554",
        gpus: Sequence[str] = (),
        sha256: str = "5f" * 32,
        source: str = "tfds",
        epochs: int = 5,
        packages: dict[str, str] | None = None,
        environment: dict[str, str] | None = None,
    ) -> Report:
        cells = {
            key if isinstance(key, tuple) else (key, "cpu"): value
            for key, value in (MEDIANS if medians is None else medians).items()
        }
        rmse_of = TEST_RMSE | (rmse or {})
        runs = [
            run
            for (backend, device), values in cells.items()
            for run in make_runs(backend, device, values, rmse_of[backend])
        ]
        return Report(
            schema=SCHEMA,
            created="2025-11-24T20:50:00Z",
            finished="2025-11-24T20:53:10Z",
            machine=Machine(
                system="Linux 6.1.0",
                cpu_model=cpu_model,
                cpu_flags=["avx2", "avx512f"],
                physical_cores=2,
                logical_cores=2,
                usable_cores=2,
                caches={"L1d": "32K", "L2": "1024K"},
                governor=None,
                max_mhz=2600.0,
                memory_mib=7900.0,
                memory_limit_mib=None,
                load_1min=0.1,
                steal_percent=0.2,
                virtual="kvm",
                gpus=[Gpu(name=name, memory_mib=81559.0, driver="550.54") for name in gpus],
            ),
            software=Software(
                python="3.11.7 CPython",
                packages={"keras": "3.15.1", "jax": "0.10.2"} if packages is None else packages,
                environment={"OMP_NUM_THREADS": str(threads)} | (environment or {}),
                git_commit="0123abc",
                git_dirty=False,
            ),
            workload=Workload(
                dataset="100k",
                source=source,
                sha256=sha256,
                split="tutorial",
                num_users=943,
                num_movies=1682,
                num_train=80_000,
                num_test=20_000,
                batch_size=1000,
                epochs=epochs,
                embedding_dimension=32,
                learning_rate=0.1,
                init="shared",
            ),
            settings=Settings(
                processes=3, rounds=5, seeds=3, round_s=0.5, threads=threads, order_seed=0, timeout_s=120.0
            ),
            runs=[*runs, *extra_runs],
            parity=make_parity([backend for backend, device in cells if device == "cpu"]) if parity is None else parity,
        )

    return build
