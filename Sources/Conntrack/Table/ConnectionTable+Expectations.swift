internal import Wire

// Registering, finding and forgetting expectations: spec protocols.md §13.

extension ConnectionTable {
    /// Registers an expectation for `seconds`.
    ///
    /// One of the same master for the same packet gives way to it, and so does the master's oldest
    /// where it has `limit` already.
    ///
    /// Kernel: `nf_ct_expect_related()`.
    mutating func expect(
        _ expectation: Expectation, limit: Int, seconds: UInt32, at now: Moment
    ) throws(ExpectationRefusal) {
        let master = expectation.master
        let record = records[master]
        let zone = max(record.zoneOriginal, record.zoneReply)
        let other = expectations.first(near: expectation.tuple, record.namespace) {
            $0.zone == zone && $0.expectation.clashes(with: expectation)
        }
        if let other {
            guard expectations[other].expectation.master == master,
                expectations[other].expectation.tuple == expectation.tuple
            else { throw .busy }
            forget(other, at: now)
        }
        let home = makeAttachments(master)
        if Int(attached[home].expectationCount) >= limit, let oldest = oldestExpectation(master) {
            forget(oldest, at: now)
        }
        guard expectations.count < Int(limits.expectations) else { throw .full }
        var expectation = expectation
        expectation.deadline = now.tick + tickRate.ticks(seconds: seconds)
        var entered = ExpectationTable.Record(
            expectation: expectation, namespace: record.namespace, zone: zone)
        entered.nextOfMaster = attached[home].firstExpectation
        attached[home].firstExpectation = expectations.insert(entered)
        attached[home].expectationCount += 1
        count(\.expectCreate, record.namespace)
        tell(.new, expectation, at: now)
    }

    /// The expectation a new connection fulfils, which thereby is none any more.
    ///
    /// Kernel: `nf_ct_find_expectation()`.
    mutating func takeExpectation(
        _ tuple: Tuple, _ zones: ZonePair, _ namespace: NamespaceIndex, at now: Moment
    ) -> Expectation? {
        let zone = max(zones.original, zones.reply)
        if !expectationsHaveTimers { expireExpectations(near: tuple, namespace, at: now) }
        let found = expectations.first(near: tuple, namespace) {
            $0.zone == zone && !$0.expectation.deadline.hasPassed(at: now.tick)
                && $0.expectation.matches(tuple)
        }
        guard let found else { return nil }
        let expectation = expectations[found].expectation
        let status = records[expectation.master].status
        guard status.contains(.confirmed), !status.contains(.dying) else { return nil }
        forget(found, at: now)
        return expectation
    }

    /// Makes a connection the expected one: tied to its master, with its mark.
    mutating func fulfil(_ expectation: Expectation, with slot: Slot) {
        records[slot].status.insert(.expected)
        tie(slot, to: expectation.master)
        records[slot].mark = records[expectation.master].mark
        count(\.expectNew, records[slot].namespace)
    }

    /// Forgets what a connection expects.
    mutating func forgetExpectations(of master: Slot, at now: Moment) {
        guard let home = attachments(of: master) else { return }
        while attached[home].firstExpectation != .max {
            forget(attached[home].firstExpectation, at: now)
        }
    }

    /// Linux 6.12: what a lookup meets and is over goes.
    private mutating func expireExpectations(
        near tuple: Tuple, _ namespace: NamespaceIndex, at now: Moment
    ) {
        let isOver = { (record: ExpectationTable.Record) in
            record.expectation.deadline.hasPassed(at: now.tick)
        }
        while let index = expectations.first(near: tuple, namespace, where: isOver) {
            forget(index, at: now)
        }
    }

    /// Linux 6.12: the collector looks at what a connection with a helper expects.
    mutating func expireExpectations(of master: Slot, at now: Moment) {
        guard let home = attachments(of: master) else { return }
        var index = attached[home].firstExpectation
        while index != .max {
            let record = expectations[index]
            if record.expectation.deadline.hasPassed(at: now.tick) { forget(index, at: now) }
            index = record.nextOfMaster
        }
    }

    /// Takes the last announcement of a connection back.
    mutating func forgetNewestExpectation(of master: Slot, at now: Moment) {
        guard let home = attachments(of: master), attached[home].firstExpectation != .max else {
            return
        }
        forget(attached[home].firstExpectation, at: now)
    }

    /// Forgets the expectations whose time has come.
    mutating func expireExpectations(at now: Moment) {
        for index in expectations.all()
        where expectations[index].expectation.deadline.hasPassed(at: now.tick) {
            forget(index, at: now)
        }
    }

    private func oldestExpectation(_ master: Slot) -> UInt32? {
        guard let home = attachments(of: master) else { return nil }
        var index = attached[home].firstExpectation
        var oldest: UInt32?
        while index != .max {
            oldest = index
            index = expectations[index].nextOfMaster
        }
        return oldest
    }

    private mutating func forget(_ index: UInt32, at now: Moment) {
        let record = expectations[index]
        if let home = attachments(of: record.expectation.master) {
            attached[home].expectationCount -= 1
            if attached[home].firstExpectation == index {
                attached[home].firstExpectation = record.nextOfMaster
            } else {
                var before = attached[home].firstExpectation
                while before != .max {
                    let following = expectations[before].nextOfMaster
                    if following == index {
                        expectations.setNextOfMaster(record.nextOfMaster, of: before)
                        break
                    }
                    before = following
                }
            }
        }
        expectations.remove(index)
        count(\.expectDelete, record.namespace)
        tell(.destroy, record.expectation, at: now)
    }

    private mutating func tell(_ kind: EventKind, _ expectation: Expectation, at now: Moment) {
        guard journal.isListening else { return }
        journal.expectationEvents.append(
            ExpectationEvent(kind, entry(expectation, at: now), at: now.instant))
    }

    // MARK: Reading

    /// A copy of an expectation for people and programs to read.
    func entry(_ expectation: Expectation, at now: Moment) -> ExpectationEntry {
        ExpectationEntry(
            expectation, master: tuple(of: expectation.master, .original),
            remainingTicks: expectation.deadline.ticks(after: now.tick))
    }

    /// The expectations of a namespace, in the order of `conntrack -L expect`.
    func listExpectations(_ namespace: NamespaceIndex, at now: Moment) -> [ExpectationEntry] {
        expectations.all().map { expectations[$0] }
            .filter {
                $0.namespace == namespace && !$0.expectation.deadline.hasPassed(at: now.tick)
            }
            .map { entry($0.expectation, at: now) }
    }
}
