"""What several tests of nggrpc use."""
