"""Play people on a system, event by event: who waits where, and for how long.

A request goes: generator, thread slot of a worker, then bursts under the interpreter's lock between its queries;
for the queries it holds a permit of the pool and a server connection of PgBouncer. What the model leaves out:
memory, locks between requests (they are in `wait`), replicas.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Sequence
from typing import Any

import simpy

from .demands import Demands, TaskDemand
from .outcome import Outcome
from .stations import SWITCH_INTERVAL, Backends, Machine, Process
from .system import System

MOST_BURSTS = 6  # queries of a request beyond that are played as longer ones: the sum is the same
SEED = 1
BACKGROUND_BURST = 0.001  # seconds; timers and statistics come in pieces of about that
LINGER = 2.0  # seconds in which Gunicorn's worker still serves kept connections when it is to end


class _Worker:
    """A worker process: its interpreter, its threads, its pool."""

    def __init__(self, env: simpy.Environment, machine: Machine, system: System) -> None:
        self.interpreter = Process(env, machine, SWITCH_INTERVAL)
        self.threads = simpy.Resource(env, system.threads)
        self.pool = simpy.Resource(env, system.pool)
        self.is_ready, self.generation = True, 0
        self._env, self._machine, self._system = env, machine, system
        self._left = 0

    @property
    def load(self) -> int:
        """Requests in work or waiting."""
        return self.threads.count + len(self.threads.queue)

    def begin(self, chance: random.Random, is_first: bool = True) -> None:
        """Draw after how many requests it is replaced; the first ones are somewhere on their way."""
        most = self._system.max_requests
        self._left = chance.randint(1, most) if is_first and most else chance.randint(most, most + most // 5)

    def served(self, chance: random.Random, others: Sequence[_Worker]) -> None:
        """Count a request; after the last one its people go elsewhere until another one has begun.

        Args:
            others: all workers of its host, of which one at a time is replaced (backend/recycling.py).
        """
        self._left -= 1
        if self._left > 0 or not self.is_ready or not self._system.max_requests:
            return
        if not all(worker.is_ready for worker in others):
            return
        self.is_ready = False
        self.generation += 1
        self._env.process(self._replaced(chance))

    def _replaced(self, chance: random.Random) -> Generator[Any, Any, Any]:
        yield self._env.timeout(LINGER)
        done = self._env.event()
        self._machine.run(self._system.boot, lambda: _succeed(done))
        yield done
        self.is_ready = True
        self.begin(chance, is_first=False)


class _Site:
    """All stations of a system."""

    def __init__(self, env: simpy.Environment, system: System) -> None:
        self.system = system
        if system.is_shared:
            machine = Machine(env, system.cores)
            self.machines = {"machine": [machine]}
            hosts, database, rest = [machine], machine, machine
        else:
            hosts = [Machine(env, system.cores) for _ in range(system.hosts)]
            database = Machine(env, system.database_cores)
            rest = Machine(env, 1_000)  # the generator and PgBouncer have machines of their own
            self.machines = {"app cores": hosts, "database cores": [database]}
        self.workers = [_Worker(env, host, system) for host in hosts for _ in range(system.workers)]
        self.beside = [Backends(env, host) for host in hosts]
        self.generator = Process(env, rest)
        self.bouncers = [Process(env, rest) for _ in range(system.bouncers)]
        self.servers = [simpy.Resource(env, system.pool_size) for _ in range(system.bouncers)]
        self.database = Backends(env, database)

    def choose(self, chance: random.Random) -> int:
        """Return who accepts a connection: of those that are there one whose interpreter is idle, at random."""
        there = [n for n, worker in enumerate(self.workers) if worker.is_ready] or list(range(len(self.workers)))
        least = min(self.workers[n].load for n in there)
        return chance.choice([n for n in there if self.workers[n].load == least])

    def beside_of(self, place: int) -> Sequence[_Worker]:
        """Return the workers of a worker's host."""
        first = place - place % self.system.workers
        return self.workers[first : first + self.system.workers]

    def backgrounds(self, demands: Demands) -> list[tuple[Machine, float]]:
        """Return what each machine does whether or not there are requests, in cores."""
        app, database, rest = demands.background
        if self.system.is_shared:
            return [(self.machines["machine"][0], app + database + rest)]
        [server] = self.machines["database cores"]
        return [*((host, app) for host in self.machines["app cores"]), (server, database)]

    def totals(self) -> dict[str, tuple[float, float]]:
        """Return for each station the seconds that it was busy and how many of it there are."""
        found: dict[str, tuple[float, float]] = {
            name: (sum(machine.settle() for machine in machines), sum(machine.cores for machine in machines))
            for name, machines in self.machines.items()
        }
        found["interpreters"] = (sum(w.interpreter.held for w in self.workers), len(self.workers))
        if self.bouncers:
            found["PgBouncer"] = (sum(b.held for b in self.bouncers), len(self.bouncers))
        found["generator"] = (self.generator.held, 1)
        return found


class _Run:
    """One simulation: people, arrivals, and what was counted."""

    def __init__(self, demands: Demands, system: System, warmup: float, seed: int) -> None:
        self.env = simpy.Environment()
        self.site = _Site(self.env, system)
        self.demands, self.warmup = demands, warmup
        self.chance = random.Random(seed)
        self.latencies: list[float] = []
        self.by_task: dict[str, list[float]] = {task.name: [] for task in demands.tasks}
        self.waits = {"threads": 0.0, "pool": 0.0, "server connections": 0.0}
        self.open = 0

    def person(self) -> Generator[Any, Any, Any]:
        """Ask, think, ask: on one connection, and so at one worker."""
        place, generation = 0, -1
        yield self.env.timeout(self.chance.random() * self.demands.think)
        while True:
            if generation != self.site.workers[place].generation:  # its connection was closed, or never open
                place = self.site.choose(self.chance)
                generation = self.site.workers[place].generation
            yield self.env.process(self.request(place))
            yield self.env.timeout(self.demands.pause(self.chance))

    def arrivals(self, rate: float) -> Generator[Any, Any, Any]:
        """Ask at a rate, whatever the answers do."""
        while True:
            yield self.env.timeout(self.chance.expovariate(rate))
            self.env.process(self.request(self.site.choose(self.chance)))

    def background(self, machine: Machine, cores: float) -> Generator[Any, Any, Any]:
        """Use so many cores of a machine on the average, in short pieces."""
        while True:
            yield self.env.timeout(self.chance.expovariate(cores / BACKGROUND_BURST))
            machine.run(BACKGROUND_BURST, lambda: None)

    def begin(self, users: int, rate: float) -> None:
        """Start the people or the arrivals, and what goes on without them."""
        for worker in self.site.workers:
            worker.begin(self.chance)
        for _ in range(users):
            self.env.process(self.person())
        if rate:
            self.env.process(self.arrivals(rate))
        for machine, cores in self.site.backgrounds(self.demands):
            if cores > 0:
                self.env.process(self.background(machine, cores))

    def request(self, place: int) -> Generator[Any, Any, Any]:
        """One request, from the click to the answer, and what comes after it."""
        begun, site, worker = self.env.now, self.site, self.site.workers[place]
        task = self.demands.pick(self.chance)
        scale = task.draw(self.chance)
        self.open += 1
        yield site.generator.use(task.generator * scale / 2)
        asked = self.env.now
        with worker.threads.request() as slot:
            yield slot
            self.waits["threads"] += self.env.now - asked
            yield from self._serve(task, scale, place)
        worker.interpreter.use(task.after * scale)
        worker.served(self.chance, site.beside_of(place))
        yield site.generator.use(task.generator * scale / 2)
        site.generator.use(task.generator_after * scale)
        self.open -= 1
        if self.env.now >= self.warmup:
            self.latencies.append(self.env.now - begun)
            self.by_task[task.name].append(self.env.now - begun)

    def _serve(self, task: TaskDemand, scale: float, place: int) -> Generator[Any, Any, Any]:
        site, worker = self.site, self.site.workers[place]
        queries = min(max(round(task.queries), 1), MOST_BURSTS) if task.database + task.bouncer > 0 else 0
        burst = task.app * scale / (queries + 1)
        yield worker.interpreter.use(burst)
        if task.beside > 0:
            yield site.beside[place // site.system.workers].use(task.beside * scale)
        if task.wait > 0:
            yield self.env.timeout(task.wait * scale)
        if task.jam > 0 and self.chance.random() < self.demands.jammed:
            yield self.env.timeout(self.chance.expovariate(self.demands.jammed / task.jam))
        if queries:
            yield from self._ask(task, scale / queries, worker, queries, burst)

    def _ask(
        self, task: TaskDemand, scale: float, worker: _Worker, queries: int, burst: float
    ) -> Generator[Any, Any, Any]:
        """Do the queries on one connection, as one transaction."""
        site, begun = self.site, self.env.now
        with worker.pool.request() as permit:
            yield permit
            self.waits["pool"] += self.env.now - begun
            if not site.bouncers:
                for _ in range(queries):
                    yield site.database.use(task.database * scale)
                    yield worker.interpreter.use(burst)
                return
            number, begun = self.chance.randrange(len(site.bouncers)), self.env.now
            with site.servers[number].request() as server:
                yield server
                self.waits["server connections"] += self.env.now - begun
                for _ in range(queries):
                    yield site.bouncers[number].use(task.bouncer * scale)
                    yield site.database.use(task.database * scale)
                    yield worker.interpreter.use(burst)


def _succeed(event: simpy.Event) -> None:
    event.succeed()


def simulate(
    demands: Demands,
    system: System,
    *,
    users: int = 0,
    rate: float = 0.0,
    seconds: float = 60.0,
    warmup: float = 10.0,
    seed: int = SEED,
) -> Outcome:
    """Play a load on a system.

    Args:
        users: people who think between their requests; or
        rate: arrivals per second, whatever the answers do.
        seconds, warmup: simulated time, counted and before that.
        seed: the same one gives the same figures.

    Raises:
        ValueError: users or rate, one of them, must be above 0.
    """
    if (users > 0) == (rate > 0) or seconds <= 0 or warmup < 0:
        raise ValueError(f"users={users} rate={rate} seconds={seconds} is no load; give users or a rate above 0")
    run = _Run(demands, system, warmup, seed)
    run.begin(users, rate)
    run.env.run(warmup)
    before = run.site.totals()
    waited = dict(run.waits)
    run.env.run(warmup + seconds)
    busy = {
        name: (held - before[name][0]) / (seconds * count)
        for name, (held, count) in run.site.totals().items()
        if held > before[name][0]
    }
    answered = max(len(run.latencies), 1)
    waits = {name: (total - waited[name]) / answered for name, total in run.waits.items()}
    throughput = len(run.latencies) / seconds
    return Outcome(users, seconds, throughput, run.latencies, busy, run.by_task, waits, run.open)
