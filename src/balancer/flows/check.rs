//! What must hold after every step. The simulation checks it; production never pays for it.

use super::Flows;
use super::lanes::Ends;
use crate::model::time::Moment;

impl Flows {
    /// Checks that flows, their names, lanes and order agree, for the simulation.
    ///
    /// # Errors
    /// The first disagreement, in words.
    pub fn check(&self) -> Result<(), String> {
        self.balancer.check()?;
        self.lanes.check(self.balancer.len())?;
        if self.names.len(&self.balancer) != self.balancer.len() || self.balancer.len() > self.max {
            return Err(format!(
                "{} names and {} flows of {}",
                self.names.len(&self.balancer),
                self.balancer.len(),
                self.max
            ));
        }
        let mut listed = 0;
        for peer in &self.lanes.peers {
            for (is_answered, ends) in [false, true].into_iter().zip(peer.orders) {
                let (mut slot, mut before) = (ends.first, Moment::START);
                while slot != Ends::NONE {
                    let session = self.balancer.session_at(slot);
                    if session.io.is_answered != is_answered || session.io.ordered < before {
                        return Err(format!("flow {slot} stands in the wrong place"));
                    }
                    (before, listed) = (session.io.ordered, listed + 1);
                    slot = session.io.next;
                }
            }
        }
        if listed != self.balancer.len() {
            return Err(format!("{listed} of {} flows are in order", self.balancer.len()));
        }
        Ok(())
    }
}
