import Foundation
import Testing

/// What `ceiling` and `timeouts` say gave in, and of what is missing here or at the target.
@Suite(.serialized, .enabled(if: LoadScript.isPossible))
struct CeilingCommandTests {
    @Test("a target that dies has no ceiling, and one that was never there has none in time either")
    func findsNoCeilingOfTheDead() throws {
        let command = try LoadScript.run(
            """
            (until grep -q '20 connections stood' $2.out; do sleep 0.05; done; kill -KILL $sink) &
            "$ctlab" ceiling --target 127.0.0.1:9000 --start 20 --rate 50/s 2> $2.out
            status=$?
            cat $2.out >&2
            "$ctlab" ceiling --target 127.0.0.1:9 --at-most 1s
            echo "second: $?"
            exit $status
            """)
        #expect(command.status == 1, "\(command.error)")
        #expect(command.output.hasPrefix("ceiling: at least "), "\(command.output)")
        #expect(
            command.error.contains("nothing has listened at 127.0.0.1:9000 since second "),
            "\(command.error)")
        #expect(command.output.hasSuffix("second: 1\n"), "\(command.output)")
        #expect(command.error.hasSuffix(LoadFailureTests.nothingListens), "\(command.error)")
    }

    @Test("a target that refuses further connections while some stand has a ceiling")
    func tellsRulesThatReject() throws {
        let command = try LoadScript.run(
            """
            nft 'table ip r { chain o { type filter hook output priority 0; \
                tcp dport 9000 ct state new ct count over 20 reject with tcp reset; }; }'
            "$ctlab" ceiling --target 127.0.0.1:9000 --start 10 --most 100 --rate 50/s
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("limit: the target, or a rule before it, refuses further"))
        #expect(
            command.output.contains("new connections are refused while 20 stand"),
            "\(command.output)")
    }

    @Test(
        "what is missing on this machine is named, whatever its processors do",
        arguments: [
            ("--target 10.9.9.9:80 --i-may-load 10.9.9.9", "limit: the route to the target"),
            (
                "--target 127.0.0.1:9000 --sources 10.9.9.9",
                "limit: a source address that is not this machine's"
            ),
        ])
    func namesMissingRoutes(_ arguments: String, _ sentence: String) throws {
        let command = try LoadScript.run(
            "\"$ctlab\" ceiling \(arguments) --most 2 --rate 20/s --health none")
        #expect(command.status == 1, "\(command.error)")
        #expect(command.output.contains(sentence), "\(command.output)")
    }

    @Test("a ceiling that was found and then interrupted is partial")
    func interruptsTheCeiling() throws {
        // An attempt nobody answers keeps the run from its end for two seconds more; should the
        // signal come later all the same, it is tried again.
        let command = try LoadScript.run(
            """
            nft 'table ip r { chain o { type filter hook output priority 0; \
                tcp dport 9000 ct state new ct count over 20 drop; }; }'
            for _ in 1 2 3; do
                env --default-signal=INT "$ctlab" ceiling --target 127.0.0.1:9000 --start 20 \
                    --most 21 --rate 50/s 2> $2.told &
                ceiling=$!
                until grep -q '21 connections did not stand' $2.told || ! kill -0 $ceiling; do
                    sleep 0.05
                done
                kill -INT $ceiling
                wait $ceiling
                status=$?
                [ $status != 0 ] && break
            done
            cat $2.told >&2
            exit $status
            """)
        #expect(command.status == 5, "\(command.error)")
        #expect(command.output.hasSuffix("--observe netns:NAME\n"), "\(command.output)")
        #expect(command.error.contains("interrupted; the result is partial"), "\(command.error)")
    }

    @Test("source ports that are used up are the ceiling of datagrams")
    func namesPortsOfDatagrams() throws {
        let command = try LoadScript.run(
            """
            echo 20000 20199 > /proc/sys/net/ipv4/ip_local_port_range
            "$ctlab" ceiling --udp --target 127.0.0.1:9000 --most 1000 --rate 1000/s
            """)
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output.contains("ceiling: 200 flows"), "\(command.output)")
        #expect(command.output.contains("limit: the generator's source ports"))
        #expect(command.output.contains("1 × bind 0.0.0.0:0: Address already in use"))
    }

    @Test("sockets that no process has descriptors for are said beforehand")
    func saysWhatTakesTooManySockets() throws {
        let command = try LoadScript.run(
            """
            echo 20000 20199 > /proc/sys/net/ipv4/ip_local_port_range
            "$ctlab" timeouts --target 127.0.0.1:9000 --of udp --flows 250
            [ $? = 4 ] || exit 70
            "$ctlab" timeouts --target 127.0.0.1:9000 --of udp --flows 5000 --descriptors 300
            """)
        #expect(command.status == 4, "\(command.error)")
        #expect(
            command.error.contains(
                "5000 sockets are needed, and a process of 300 descriptors has room"),
            "\(command.error)"
        )
        #expect(
            command.error.contains(
                "expected no more than 200 source ports can carry (bind 0.0.0.0:0: Address already"),
            "\(command.error)")
    }

    @Test("the first level is no more than the most asked for")
    func startsLow() throws {
        let command = try LoadScript.run(
            "\"$ctlab\" ceiling --target 127.0.0.1:9000 --most 10 --rate 100/s")
        #expect(command.status == 0, "\(command.error)")
        #expect(command.output == "ceiling: no limit up to 10 connections\n")
    }
}
