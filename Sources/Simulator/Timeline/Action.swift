import Conntrack
import Scenario

/// A step of something that takes time: a rollout's batch, a host's return, a failover's end.
struct Action {
    enum Step {
        /// Machines join a service's endpoints.
        case arrive([Int])
        /// Machines leave the endpoints, and go after a while.
        case leave([Int], drain: UInt64, Scenario.Rollout.Closing)
        /// Machines end their connections and are gone.
        case go([Int], Scenario.Rollout.Closing)
        /// Machines that were switched off are back.
        case comeBack([Int])
        /// Routes through one machine go through another from now on.
        case takeOver(from: Int, to: Int, keepsTable: Bool)
    }

    var step: Step
}
