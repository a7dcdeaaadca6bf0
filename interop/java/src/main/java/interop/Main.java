package interop;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The scenarios with RabbitMQ's Java client. Prints a line for each; arguments limit the run to the scenarios they name. */
public final class Main {
    static final int SECONDS = 20;

    interface Scenario {
        void run(Session session) throws Exception;
    }

    public static void main(String[] arguments) {
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        Connecting.add(scenarios);
        Routing.add(scenarios);
        Publishing.add(scenarios);
        Consuming.add(scenarios);
        Contents.add(scenarios);
        Closing.add(scenarios);
        if (arguments.length > 0) {
            scenarios.keySet().retainAll(List.of(arguments));
        }
        boolean failed = false;
        for (var scenario : scenarios.entrySet()) {
            String problem = attempt(scenario.getValue());
            failed |= problem != null;
            System.out.println(problem == null ? "PASS " + scenario.getKey() : "FAIL " + scenario.getKey() + ": " + problem);
        }
        System.out.println("N/A error-530: refuses a consumer tag in use itself");
        System.exit(failed ? 1 : 0);
    }

    /** Runs a scenario on a connection of its own; gives what went wrong, or null. */
    private static String attempt(Scenario scenario) {
        var thread = Executors.newSingleThreadExecutor(runnable -> {
            Thread daemon = new Thread(runnable);
            daemon.setDaemon(true);
            return daemon;
        });
        try {
            thread.submit(() -> {
                try (Session session = new Session()) {
                    scenario.run(session);
                }
                return null;
            }).get(SECONDS, TimeUnit.SECONDS);
            return null;
        } catch (TimeoutException e) {
            return "not done after " + SECONDS + " s";
        } catch (ExecutionException e) {
            return e.getCause().toString().replaceAll("\\s+", " ");
        } catch (InterruptedException e) {
            return "interrupted";
        } finally {
            thread.shutdownNow();
        }
    }
}
