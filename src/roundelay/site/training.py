"""Training at one site: load, digest what was loaded, fit, pack."""

from roundelay.learning.fedprox import pull_of
from roundelay.learning.fit import Hooks, fit
from roundelay.learning.optimiser import Adam, load_optimiser, optimiser_arrays
from roundelay.learning.state import load_model, model_arrays
from roundelay.learning.weight_average import WeightAverage
from roundelay.plan.itinerary import Stop
from roundelay.plan.progress import OnStep
from roundelay.relay.baton import AVERAGE, MODEL, OPTIMISER, Baton, digest_of_parts, join, part_of
from roundelay.site.opening import LocalSite
from roundelay.site.optimiser_state import keep_state, kept_state
from roundelay.site.soundness import arrived, refuse_infinite
from roundelay.site.work import WorkDone, batches_of


def train_model(site: LocalSite, stop: Stop, baton: Baton, on_step: OnStep) -> WorkDone:
    """One visit's training. Raises VisitError where the loss, or what it comes to, isn't finite;
    nothing is kept then."""
    recipe, travels = site.study.recipe, site.study.recipe.optimiser_state == "travel"
    parts = arrived(baton, stop)
    model = site.machine.place(load_model(site.study.network, part_of(parts, MODEL)))
    optimiser = Adam(recipe, model)
    stayed = kept_state(site, stop)
    load_optimiser(optimiser, stayed or part_of(parts, OPTIMISER))
    average = WeightAverage(recipe, stop, model, part_of(parts, AVERAGE))
    del parts, stayed  # as large as all that was loaded from them
    # From the loaded model, not the wire: a site that keeps its own weights must not pass.
    received = digest_of_parts(
        model=model_arrays(model),
        optimiser=optimiser_arrays(optimiser) if travels else {},
        average=average.arrays(),
    )
    loss = fit(
        model,
        optimiser,
        batches_of(site, stop),
        stop=stop,
        recipe=recipe,
        machine=site.machine,
        hooks=Hooks(
            pull_of(stop.arm, model, recipe.fedprox_mu), average.after_step, on_step=on_step
        ),
    )
    average.after_visit()
    model.zero_grad(set_to_none=True)
    state = {} if recipe.optimiser_state == "reset" else optimiser_arrays(optimiser)
    weights, mean = model_arrays(model), average.arrays()
    refuse_infinite(stop, recipe, model=weights, optimiser=state, average=mean)
    if recipe.optimiser_state == "stay":
        keep_state(site, stop, state)
    returned = join(model=weights, optimiser=state if travels else {}, average=mean)
    return WorkDone(received, returned, loss)
